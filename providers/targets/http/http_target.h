#pragma once

#include <memory>
#include <string_view>

#include "controller/base/context.h"
#include "controller/base/result.h"
#include "controller/net/http_client.h"
#include "controller/seams/target.h"
#include "providers/http/credentials.h"
#include "providers/http/request.h"

namespace certflow::providers::http {

// A device with an HTTP API of its own: a cloud balancer, a firewall, an appliance. spec.http
// describes its requests in steps (docs/targets.md); this target knows in which order they make a
// deployment that can be repeated and put back.
//
// What the device must be able to do: hold several certificates, each with a name of ours or a tag
// with it; list them; tell which one is in use at the place, with its certificate or SHA-256
// fingerprint; and switch the place to another one by an identifier.
//
// The name is "certflow-<8 hex of the workflow>-<8 hex of the place>-<version>", at most 96 bytes.
// The place is the binding's text, so two places of one workflow are two objects. The way back is
// the identifier that was in use ("active"), which never holds a secret: it comes from a step that
// is not given the key, and is short and without line breaks.
//
// `settings` is spec.http as JSON; `tls` and `login` hold its credentials. kInvalid names the
// field.
Result<std::unique_ptr<seams::Target>> MakeHttpTarget(std::string_view settings,
                                                      ServerSettings server, Login login,
                                                      net::HttpClient& client);

// Asks for the list of certificates, where that needs no parameters of a workflow, and says how it
// went. Proves address, trust and credentials.
Result<std::string> CheckHttpTarget(const Context& ctx, std::string_view settings,
                                    ServerSettings server, Login login, net::HttpClient& client);

}  // namespace certflow::providers::http

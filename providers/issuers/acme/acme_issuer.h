#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controller/net/http_client.h"
#include "controller/pki/key.h"
#include "controller/seams/issuer.h"
#include "providers/issuers/acme/account_cache.h"
#include "providers/issuers/acme/solver_choice.h"

namespace certflow::providers::acme {

// What the authority brings besides its settings. `http` outlives the issuer.
struct AcmeParts {
  net::HttpClient& http;
  pki::PrivateKey account_key;
  std::string account_url;  // as the authority's status has it, or empty
  std::vector<AcmeSolver> solvers;
  std::shared_ptr<AcmeAccountCache> cache;  // shared by all runs of the authority
};

// RFC 8555. Settings are the authority's `spec.acme`: server, email, caBundle; the account key and
// the solvers come ready in `parts`. kInvalid ("AcmeSettings") names what is wrong.
//
// One order is made a run. An order that a failed validation made invalid ends the issuance
// (AcmeChallengeFailed, never retried): another try is another run, paced by its policy. Only an
// order that the server lost or let expire is made again, a few times. Observe asks for Advance
// whenever the order is not the CA's to work on; a poll_after of zero says that there is something
// to do at once.
//
// Memo entries "http01/<token>" hold what has to be served at
// /.well-known/acme-challenge/<token>, "http01-domain/<token>" the host it belongs to.
Result<std::unique_ptr<seams::Issuer>> MakeAcmeIssuer(AcmeParts parts,
                                                      std::string_view settings_json);

// Registers the account, or finds the one that the key already has, and gives its URL (RFC 8555
// section 7.3). Terms of service are agreed to, as naming the server in a spec does.
Result<std::string> EnsureAccount(const Context& ctx, net::HttpClient& http,
                                  AcmeAccountCache& cache, const pki::PrivateKey& account_key,
                                  std::string_view settings_json);

}  // namespace certflow::providers::acme

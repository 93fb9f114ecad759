#pragma once

#include <cstdint>
#include <memory>

#include "controller/kube/client.h"
#include "controller/net/http_client.h"
#include "controller/net/mail_client.h"
#include "controller/net/shell.h"
#include "controller/seams/connector.h"
#include "controller/seams/secret_store.h"

namespace certflow::providers {

// What providers are made of; all of it outlives the registry.
struct RegistryParts {
  net::HttpClient& http;
  net::ShellConnector& shells;
  net::MailClient& mail;
  kube::Client& kube;
  seams::SecretStore& secrets;
  // Where Ingresses that answer http-01 are made, and the Service behind them.
  std::string own_namespace;
  std::string acme_service = "certflow-acme";
  std::uint16_t acme_service_port = 8089;
  // Where http-01 is looked for before the CA is asked to; 80 but in tests.
  std::uint16_t http01_port = 80;
};

// The one table from type name to provider: authorities acme, ca; targets kubernetes, nginx,
// apache, haproxy, f5, http; channels smtp, and the caches cloudflare, fastly, httpPurge.
// Thread-safe.
std::unique_ptr<seams::Connector> MakeRegistry(const RegistryParts& parts);

}  // namespace certflow::providers

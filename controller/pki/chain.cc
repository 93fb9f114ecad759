#include <arpa/inet.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "controller/pki/certificate.h"
#include "controller/pki/parse.h"

namespace certflow::pki {
namespace {

// A trust bundle may be a whole root programme.
constexpr PemLimits kTrustLimits{.max_bytes = 2u << 20, .max_certificates = 1024};

Error ChainInvalid(std::string_view message) {
  return MakeError(ErrorCode::kInvalid, "ChainInvalid", message);
}
Error Untrusted(std::string_view reason, std::string_view message) {
  return MakeError(ErrorCode::kUntrusted, reason, message);
}

bool Issued(X509* issuer, X509* subject) {
  const ErrorQueueScope errors;
  return X509_check_issued(issuer, subject) == X509_V_OK &&
         X509_verify(subject, X509_get0_pubkey(issuer)) == 1;
}

void DropRepeats(std::vector<CertificatePtr>& chain) {
  for (auto it = chain.begin(); it != chain.end();) {
    const bool seen = std::any_of(chain.begin(), it, [&](const CertificatePtr& earlier) {
      return X509_cmp(earlier.get(), it->get()) == 0;
    });
    it = seen ? chain.erase(it) : it + 1;
  }
}

// Roots are the receiver's own business. A self-signed server certificate is no root.
void DropRoots(std::vector<CertificatePtr>& chain) {
  std::erase_if(chain, [](const CertificatePtr& certificate) {
    return X509_check_ca(certificate.get()) != 0 && IsSelfSigned(certificate.get());
  });
}

// The one that issued none of the others.
std::optional<std::size_t> FindLeaf(const std::vector<CertificatePtr>& chain) {
  std::optional<std::size_t> leaf;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    const bool issuer = std::any_of(chain.begin(), chain.end(), [&](const CertificatePtr& other) {
      return other != chain[i] && Issued(chain[i].get(), other.get());
    });
    if (issuer) continue;
    if (leaf) return std::nullopt;
    leaf = i;
  }
  return leaf;
}

Result<StorePtr> MakeStore(const VerifyRequest& request) {
  StorePtr store(X509_STORE_new());
  if (!store) return OpenSslFailed("make a trust store");
  if (request.trust_pem.empty()) {
    if (X509_STORE_set_default_paths(store.get()) != 1) {
      return OpenSslFailed("read the system's roots");
    }
    return store;
  }
  auto roots = ParsePem(request.trust_pem, kTrustLimits);
  if (!roots.ok()) return Annotate(std::move(roots).error(), "trusted roots");
  for (const CertificatePtr& root : *roots) {
    if (X509_STORE_add_cert(store.get(), root.get()) != 1) return OpenSslFailed("trust a root");
  }
  return store;
}

Result<void> SetRules(X509_STORE_CTX* context, WallTime at) {
  X509_VERIFY_PARAM* rules = X509_STORE_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_time(rules, std::chrono::system_clock::to_time_t(at));
  // Refuses SHA-1 and RSA below 1024 bits, as every browser does.
  X509_VERIFY_PARAM_set_auth_level(rules, 1);
  if (X509_VERIFY_PARAM_set_purpose(rules, X509_PURPOSE_SSL_SERVER) != 1 ||
      X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_PARTIAL_CHAIN) != 1) {
    return OpenSslFailed("set the rules of the verification");
  }
  return {};
}

Error PathFault(X509_STORE_CTX* context) {
  const int code = X509_STORE_CTX_get_error(context);
  const int depth = X509_STORE_CTX_get_error_depth(context);
  X509* at = X509_STORE_CTX_get_current_cert(context);
  const std::string subject = at == nullptr ? "?" : NameText(X509_get_subject_name(at));
  const std::string issuer = at == nullptr ? "?" : NameText(X509_get_issuer_name(at));
  switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return Untrusted("CertificateExpired", "the certificate of " + subject + " has expired");
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return Untrusted("CertificateNotYetValid",
                       "the certificate of " + subject + " is not valid yet");
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      // With nothing but the leaf an intermediate is missing; above it, a root is not trusted.
      return Untrusted(depth == 0 ? "ChainIncomplete" : "ChainUntrusted",
                       "the issuer " + issuer + " of " + subject +
                           " is neither in the chain nor among the trusted roots");
    default:
      return Untrusted("ChainUntrusted", "the certificate of " + subject + " is not trusted: " +
                                             X509_verify_cert_error_string(code));
  }
}

Result<void> VerifyPath(const VerifyRequest& request, const std::vector<CertificatePtr>& chain) {
  CF_ASSIGN_OR_RETURN(const StorePtr store, MakeStore(request));
  const CertificateStackPtr others(sk_X509_new_null());
  for (std::size_t i = 1; i < chain.size() && others; ++i) {
    X509_up_ref(chain[i].get());
    if (sk_X509_push(others.get(), chain[i].get()) == 0) X509_free(chain[i].get());
  }
  const StoreContextPtr context(X509_STORE_CTX_new());
  if (!others || !context ||
      X509_STORE_CTX_init(context.get(), store.get(), chain[0].get(), others.get()) != 1) {
    return OpenSslFailed("prepare the verification");
  }
  CF_RETURN_IF_ERROR(SetRules(context.get(), request.at));
  if (X509_verify_cert(context.get()) == 1) return {};
  return PathFault(context.get());
}

bool IsAddress(const std::string& name) {
  unsigned char buffer[sizeof(in6_addr)];
  return inet_pton(AF_INET, name.c_str(), buffer) == 1 ||
         inet_pton(AF_INET6, name.c_str(), buffer) == 1;
}

Result<void> VerifyNames(const VerifyRequest& request, X509* leaf) {
  CF_ASSIGN_OR_RETURN(const CertificateInfo info, ReadDer(request.chain_der[0]));
  for (const std::string& name : request.dns_names) {
    const bool covered = IsAddress(name) ? X509_check_ip_asc(leaf, name.c_str(), 0) == 1
                                         : NameCovers(info.dns_names, name);
    if (covered) continue;
    return Untrusted("NameMismatch",
                     "the certificate of " + info.subject + " does not cover " + Sanitize(name));
  }
  return {};
}

}  // namespace

Result<void> CheckPair(std::string_view chain_pem, const PrivateKey& key) {
  const ErrorQueueScope errors;
  CF_ASSIGN_OR_RETURN(const std::vector<CertificatePtr> chain, ParsePem(chain_pem));
  if (X509_check_private_key(chain[0].get(), key.impl().key.get()) == 1) return {};
  return MakeError(ErrorCode::kInvalid, "KeyMismatch",
                   "the private key does not belong to the certificate of " +
                       NameText(X509_get_subject_name(chain[0].get())));
}

Result<std::string> OrderChain(std::string_view pem) {
  const ErrorQueueScope errors;
  CF_ASSIGN_OR_RETURN(std::vector<CertificatePtr> chain, ParsePem(pem));
  DropRepeats(chain);
  DropRoots(chain);
  std::optional<std::size_t> next = FindLeaf(chain);
  if (!next) return ChainInvalid("it cannot be told which certificate is the server's");
  std::string ordered;
  while (true) {
    const CertificatePtr current = std::move(chain[*next]);
    chain.erase(chain.begin() + static_cast<std::ptrdiff_t>(*next));
    ordered += DerToPem(ToDer(current.get()));
    const auto issuer = std::find_if(chain.begin(), chain.end(), [&](const CertificatePtr& other) {
      return Issued(other.get(), current.get());
    });
    if (issuer == chain.end()) break;
    next = static_cast<std::size_t>(issuer - chain.begin());
  }
  if (chain.empty()) {
    CF_RETURN_IF_ERROR(ReadChain(ordered));
    return ordered;
  }
  return ChainInvalid("the certificate of " + NameText(X509_get_subject_name(chain[0].get())) +
                      " does not belong to the chain");
}

Result<void> VerifyServerChain(const VerifyRequest& request) {
  const ErrorQueueScope errors;
  if (request.chain_der.empty()) return Untrusted("ChainUntrusted", "no certificate was served");
  if (request.chain_der.size() > kMaxChainCertificates) {
    return Untrusted("ChainUntrusted", "more than 16 certificates were served");
  }
  std::vector<CertificatePtr> chain;
  for (const std::string& der : request.chain_der) {
    auto certificate = ParseDer(der);
    if (!certificate.ok()) return Untrusted("ChainUntrusted", certificate.error().message);
    chain.push_back(std::move(certificate).value());
  }
  CF_RETURN_IF_ERROR(VerifyPath(request, chain));
  return VerifyNames(request, chain[0].get());
}

}  // namespace certflow::pki

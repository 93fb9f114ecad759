#include "providers/validators/tls/handshake.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string_view>

namespace certflow::providers {
namespace {

// OpenSSL bounds the certificates itself (100 KiB); this bounds everything else.
constexpr std::size_t kMaxHandshakeBytes = 512u << 10;

template <auto kFree>
struct Free {
  template <typename T>
  void operator()(T* handle) const {
    kFree(handle);
  }
};
using ContextPtr = std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>>;
using ConnectionPtr = std::unique_ptr<SSL, Free<SSL_free>>;

Error Failed(std::string_view what) {
  return MakeError(ErrorCode::kUnavailable, "HandshakeFailed", what);
}

// The reason of the oldest entry, which is the cause; the queue is emptied.
std::string OpenSslReason() {
  const unsigned long code = ERR_peek_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return Sanitize(reason == nullptr ? "unknown" : reason);
}

// The server wants to know who we are.
int NoteClientCertificateWanted(SSL* ssl, X509**, EVP_PKEY**) {
  *static_cast<bool*>(SSL_get_app_data(ssl)) = true;
  return 0;
}

ContextPtr MakeContext() {
  ContextPtr context(SSL_CTX_new(TLS_client_method()));
  if (!context) return nullptr;
  // What is too old or too weak is to be seen and reported, so it must not end the handshake.
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_security_level(context.get(), 0);
  SSL_CTX_set_options(context.get(), SSL_OP_LEGACY_SERVER_CONNECT);
  SSL_CTX_set_client_cert_cb(context.get(), NoteClientCertificateWanted);
  if (SSL_CTX_set_min_proto_version(context.get(), TLS1_VERSION) != 1 ||
      SSL_CTX_set_max_proto_version(context.get(), 0) != 1 ||
      SSL_CTX_set_cipher_list(context.get(), "DEFAULT:@SECLEVEL=0") != 1) {
    return nullptr;
  }
  return context;
}

// Whether the server has shown that the certificate is its own, although the handshake did not end.
// Up to TLS 1.2, with an ephemeral key, its signature comes before it asks for our certificate
// (RFC 5246 section 7.3); in TLS 1.3 it comes after.
bool HasProvedItself(const SSL* ssl, bool client_certificate_wanted) {
  const SSL_CIPHER* cipher = SSL_get_pending_cipher(ssl);
  if (!client_certificate_wanted || cipher == nullptr || SSL_version(ssl) > TLS1_2_VERSION) {
    return false;
  }
  const int exchange = SSL_CIPHER_get_kx_nid(cipher);
  return exchange == NID_kx_ecdhe || exchange == NID_kx_dhe;
}

Result<ServedChain> WhatWasServed(const SSL* ssl) {
  ServedChain served;
  const STACK_OF(X509)* chain = SSL_get_peer_cert_chain(ssl);
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    unsigned char* raw = nullptr;
    const int size = i2d_X509(sk_X509_value(chain, i), &raw);
    if (size > 0) {
      served.chain_der.emplace_back(reinterpret_cast<char*>(raw), static_cast<std::size_t>(size));
    }
    OPENSSL_free(raw);
  }
  if (served.chain_der.empty()) return Failed("the server has no certificate");
  served.version = SSL_version(ssl);
  served.version_name = SSL_get_version(ssl);
  return served;
}

// OpenSSL between two buffers: the socket stays ours, with its deadline and without SIGPIPE.
class Handshake {
 public:
  Handshake(SSL* ssl, Socket& socket)
      : ssl_(ssl), socket_(socket), in_(BIO_new(BIO_s_mem())), out_(BIO_new(BIO_s_mem())) {
    SSL_set_bio(ssl, in_, out_);  // takes both
  }

  Result<void> Run(const Context& ctx, const bool& client_certificate_wanted) {
    while (true) {
      ERR_clear_error();
      const int done = SSL_connect(ssl_);
      const int why = SSL_get_error(ssl_, done);
      if (done != 1 && why != SSL_ERROR_WANT_READ) {
        const std::string reason = OpenSslReason();
        if (HasProvedItself(ssl_, client_certificate_wanted)) return {};
        return Failed("the TLS handshake failed: " + reason);
      }
      CF_RETURN_IF_ERROR(Flush(ctx));
      if (done == 1) return {};
      CF_ASSIGN_OR_RETURN(const bool more, Fill(ctx));
      if (more) continue;
      if (HasProvedItself(ssl_, client_certificate_wanted)) return {};
      return Failed("the connection was closed during the TLS handshake");
    }
  }

  // A polite end; nobody waits for the answer.
  void Close(const Context& ctx) {
    SSL_shutdown(ssl_);
    static_cast<void>(Flush(ctx).ok());
    ERR_clear_error();
  }

 private:
  Result<void> Flush(const Context& ctx) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(out_, &data);
    if (size <= 0) return {};
    const std::string pending(data, static_cast<std::size_t>(size));
    BIO_reset(out_);
    return socket_.Send(ctx, pending);
  }

  Result<bool> Fill(const Context& ctx) {
    CF_ASSIGN_OR_RETURN(const std::string data, socket_.Receive(ctx));
    received_ += data.size();
    if (received_ > kMaxHandshakeBytes) return Failed("the TLS handshake is longer than 512 KiB");
    BIO_write(in_, data.data(), static_cast<int>(data.size()));
    return !data.empty();
  }

  SSL* const ssl_;
  Socket& socket_;
  BIO* const in_;
  BIO* const out_;
  std::size_t received_ = 0;
};

}  // namespace

Result<ServedChain> ReadServedChain(const Context& ctx, Socket& socket,
                                    const std::string& server_name) {
  const ContextPtr context = MakeContext();
  const ConnectionPtr ssl(context ? SSL_new(context.get()) : nullptr);
  bool client_certificate_wanted = false;
  if (!ssl || SSL_set_app_data(ssl.get(), &client_certificate_wanted) != 1 ||
      (!server_name.empty() && SSL_set_tlsext_host_name(ssl.get(), server_name.c_str()) != 1)) {
    return MakeError(ErrorCode::kInternal, "OpenSslFailed", "prepare TLS: " + OpenSslReason());
  }
  Handshake handshake(ssl.get(), socket);
  CF_RETURN_IF_ERROR(handshake.Run(ctx, client_certificate_wanted));
  auto served = WhatWasServed(ssl.get());
  handshake.Close(ctx);
  return served;
}

}  // namespace certflow::providers

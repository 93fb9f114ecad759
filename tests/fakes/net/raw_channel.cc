#include "tests/fakes/net/raw_channel.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <array>
#include <stdexcept>

namespace certflow::fakes {
namespace {

SSL* Ssl(void* ssl) { return static_cast<SSL*>(ssl); }

std::unique_ptr<BIO, int (*)(BIO*)> Memory(const std::string& text) {
  return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), &BIO_free};
}

void DemandClientCertificate(SSL_CTX* context, const std::string& ca_pem) {
  X509* ca = PEM_read_bio_X509(Memory(ca_pem).get(), nullptr, nullptr, nullptr);
  X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca);
  X509_free(ca);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
}

}  // namespace

RawTlsContext::RawTlsContext(const RawTls& tls) {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  context_ = context;
  X509* cert = PEM_read_bio_X509(Memory(tls.cert_pem).get(), nullptr, nullptr, nullptr);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(Memory(tls.key_pem).get(), nullptr, nullptr, nullptr);
  const bool usable =
      SSL_CTX_use_certificate(context, cert) == 1 && SSL_CTX_use_PrivateKey(context, key) == 1;
  X509_free(cert);
  EVP_PKEY_free(key);
  if (!usable) throw std::runtime_error("unusable certificate for a test server");
  if (!tls.client_ca_pem.empty()) DemandClientCertificate(context, tls.client_ca_pem);
}

RawTlsContext::~RawTlsContext() { SSL_CTX_free(static_cast<SSL_CTX*>(context_)); }

RawChannel::RawChannel(int fd, const RawTlsContext* tls) : fd_(fd) {
  if (tls == nullptr) return;
  ssl_ = SSL_new(static_cast<SSL_CTX*>(tls->native()));
  SSL_set_fd(Ssl(ssl_), fd);
}

RawChannel::~RawChannel() { SSL_free(Ssl(ssl_)); }

bool RawChannel::Handshake() { return ssl_ == nullptr || SSL_accept(Ssl(ssl_)) == 1; }

bool RawChannel::Read(std::string& to) {
  std::array<char, 16384> buffer;
  const auto count = ssl_ != nullptr
                         ? SSL_read(Ssl(ssl_), buffer.data(), static_cast<int>(buffer.size()))
                         : static_cast<int>(::recv(fd_, buffer.data(), buffer.size(), 0));
  if (count <= 0) return false;
  to.append(buffer.data(), static_cast<std::size_t>(count));
  return true;
}

bool RawChannel::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto count =
        ssl_ != nullptr ? SSL_write(Ssl(ssl_), bytes.data(), static_cast<int>(bytes.size()))
                        : static_cast<int>(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL));
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

void RawChannel::End() {
  if (reset_) {
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    return;
  }
  ::shutdown(fd_, SHUT_WR);
}

std::string RawChannel::ClientCommonName() const {
  if (ssl_ == nullptr) return {};
  X509* cert = SSL_get1_peer_certificate(Ssl(ssl_));
  if (cert == nullptr) return {};
  std::array<char, 256> name{};
  X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name.data(),
                            static_cast<int>(name.size()));
  X509_free(cert);
  return name.data();
}

std::string RawChannel::ServerName() const {
  const char* name =
      ssl_ == nullptr ? nullptr : SSL_get_servername(Ssl(ssl_), TLSEXT_NAMETYPE_host_name);
  return name == nullptr ? "" : name;
}

}  // namespace certflow::fakes

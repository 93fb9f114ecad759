#include "tests/fakes/tls/tls_server.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "controller/base/mutex.h"

namespace certflow::fakes {
namespace {

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "TLS server: %s\n", what);
  std::abort();
}

template <auto kFree>
struct Free {
  template <typename T>
  void operator()(T* handle) const {
    kFree(handle);
  }
};
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using ContextPtr = std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>>;
using ConnectionPtr = std::unique_ptr<SSL, Free<SSL_free>>;

Bio Reading(std::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

void LoadChain(SSL_CTX* context, const TlsServerOptions& options) {
  const Bio chain = Reading(options.chain_pem);
  bool leaf = true;
  while (X509* certificate = PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr)) {
    if (leaf) {
      Require(SSL_CTX_use_certificate(context, certificate) == 1, "certificate");
      X509_free(certificate);
      leaf = false;
    } else {
      Require(SSL_CTX_add_extra_chain_cert(context, certificate) == 1, "chain");
    }
  }
  ERR_clear_error();
  EVP_PKEY* key =
      PEM_read_bio_PrivateKey(Reading(options.key_pem.Reveal()).get(), nullptr, nullptr, nullptr);
  Require(SSL_CTX_use_PrivateKey(context, key) == 1, "key");
  EVP_PKEY_free(key);
}

ContextPtr MakeContext(const TlsServerOptions& options) {
  ContextPtr context(SSL_CTX_new(TLS_server_method()));
  Require(context != nullptr, "context");
  // Level 0 alone still signs with SHA-1, which TLS 1.0 and 1.1 need.
  SSL_CTX_set_security_level(context.get(), 0);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_VERSION);
  if (options.highest_version != 0) {
    SSL_CTX_set_max_proto_version(context.get(), options.highest_version);
  }
  // A chain as served, never completed from the machine's roots.
  SSL_CTX_set_mode(context.get(), SSL_MODE_NO_AUTO_CHAIN);
  if (options.require_client_certificate) {
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  LoadChain(context.get(), options);
  return context;
}

int Listen(const TlsServerOptions& options) {
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(options.port);
  Require(inet_pton(AF_INET, options.address.c_str(), &where.sin_addr) == 1, "address");
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(listener, reinterpret_cast<sockaddr*>(&where), sizeof where) == 0 &&
      listen(listener, 64) == 0) {
    return listener;
  }
  close(listener);
  return -1;
}

}  // namespace

struct TlsServer::State {
  TlsBehaviour behaviour = TlsBehaviour::kServe;
  std::string address;
  int listener = -1;
  int stop = -1;             // an eventfd
  std::vector<int> hanging;  // of the thread alone
  mutable Mutex mutex;
  ContextPtr context CF_GUARDED_BY(mutex);
  std::string server_name CF_GUARDED_BY(mutex);

  static int NoteServerName(SSL* ssl, int*, void* arg) {
    auto* state = static_cast<State*>(arg);
    const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const MutexLock lock(state->mutex);
    state->server_name = name == nullptr ? "" : name;
    return SSL_TLSEXT_ERR_OK;
  }
};

std::unique_ptr<TlsServer> TlsServer::Start(const TlsServerOptions& options) {
  auto state = std::make_unique<State>();
  state->behaviour = options.behaviour;
  state->address = options.address;
  if (options.behaviour == TlsBehaviour::kServe) {
    const MutexLock lock(state->mutex);
    state->context = MakeContext(options);
  }
  state->listener = Listen(options);
  if (state->listener < 0) return nullptr;
  state->stop = eventfd(0, EFD_CLOEXEC);
  return std::unique_ptr<TlsServer>(new TlsServer(std::move(state)));
}

TlsServer::TlsServer(std::unique_ptr<State> state) : state_(std::move(state)) {
  sockaddr_in where{};
  socklen_t size = sizeof where;
  getsockname(state_->listener, reinterpret_cast<sockaddr*>(&where), &size);
  port_ = ntohs(where.sin_port);
  thread_ = std::thread([this] { Run(); });
}

TlsServer::~TlsServer() {
  Require(eventfd_write(state_->stop, 1) == 0, "stop");
  thread_.join();
  for (const int connection : state_->hanging) close(connection);
  close(state_->listener);
  close(state_->stop);
}

void TlsServer::Load(const std::string& chain_pem, SecretBytes key_pem) {
  TlsServerOptions options;
  options.chain_pem = chain_pem;
  options.key_pem = std::move(key_pem);
  ContextPtr loaded = MakeContext(options);
  const MutexLock lock(state_->mutex);
  state_->context = std::move(loaded);
}

std::string TlsServer::endpoint() const { return state_->address + ":" + std::to_string(port_); }

std::string TlsServer::server_name() const {
  const MutexLock lock(state_->mutex);
  return state_->server_name;
}

void TlsServer::Run() {
  while (true) {
    pollfd watched[] = {{state_->stop, POLLIN, 0}, {state_->listener, POLLIN, 0}};
    if (poll(watched, 2, -1) < 0) continue;
    if (watched[0].revents != 0) return;
    const int connection = accept4(state_->listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection >= 0) Answer(connection);
  }
}

void TlsServer::Answer(int connection) {
  ++accepted_;
  switch (state_->behaviour) {
    case TlsBehaviour::kServe:
      Serve(connection);
      break;
    case TlsBehaviour::kHang:
      state_->hanging.push_back(connection);
      return;
    case TlsBehaviour::kClose:
      break;
    case TlsBehaviour::kGarbage: {
      constexpr std::string_view kText = "220 mail.example ESMTP\r\n";
      send(connection, kText.data(), kText.size(), MSG_NOSIGNAL);
      // Waits for the client to go: closing with unread data would reset the connection and could
      // swallow the text.
      char ignored[512];
      pollfd watched[] = {{state_->stop, POLLIN, 0}, {connection, POLLIN, 0}};
      while (poll(watched, 2, -1) >= 0 && watched[0].revents == 0 &&
             recv(connection, ignored, sizeof ignored, 0) > 0) {
      }
      break;
    }
  }
  close(connection);
}

void TlsServer::Serve(int connection) {
  // A client that says nothing must not hold the test's end.
  const timeval limit{10, 0};
  setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  const ConnectionPtr ssl = [this] {
    const MutexLock lock(state_->mutex);
    return ConnectionPtr(SSL_new(state_->context.get()));
  }();
  // SSL writes with write(2): the signal of a client that has gone is kept off this thread.
  sigset_t broken_pipe;
  sigemptyset(&broken_pipe);
  sigaddset(&broken_pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
  SSL_set_fd(ssl.get(), connection);
  // Noted before the answer to the client, which may look at it as soon as it has that.
  SSL_CTX_set_tlsext_servername_arg(SSL_get_SSL_CTX(ssl.get()), state_.get());
  SSL_CTX_set_tlsext_servername_callback(SSL_get_SSL_CTX(ssl.get()), &State::NoteServerName);
  const int accepted = SSL_accept(ssl.get());
  // Reads to the client's close, so that nothing is reset under it.
  char ignored[64];
  while (accepted == 1 && SSL_read(ssl.get(), ignored, sizeof ignored) > 0) {
  }
  ERR_clear_error();
}

}  // namespace certflow::fakes

#include "providers/stores/kubernetes/kube_secret_store.h"

#include <string>
#include <utility>

#include "providers/stores/kubernetes/secret_json.h"

namespace certflow::providers::store {
namespace {

const kube::Resource& Secrets() {
  static const kube::Resource kSecrets{"", "v1", "secrets", "Secret", true};
  return kSecrets;
}

std::string Named(std::string_view ns, std::string_view name) {
  return "Secret " + std::string(ns) + "/" + std::string(name);
}

class KubeSecretStore : public seams::SecretStore {
 public:
  explicit KubeSecretStore(kube::Client& client) : client_(client) {}

  Result<seams::SecretObject> Get(const Context& ctx, std::string_view ns,
                                  std::string_view name) override {
    auto answer = client_.Get(ctx, Secrets(), {std::string(ns), std::string(name)});
    if (!answer.ok()) return Annotate(std::move(answer).error(), "get " + Named(ns, name));
    return DecodeSecret(*answer, true);
  }

  Result<seams::SecretObject> Put(const Context& ctx, const seams::SecretObject& secret) override {
    const bool create = secret.version.empty();
    SecretBytes body = EncodeSecret(secret);
    auto answer = create ? client_.CreateSecretBody(ctx, Secrets(), secret.ns, std::move(body))
                         : client_.ReplaceSecretBody(ctx, Secrets(), {secret.ns, secret.name},
                                                     std::move(body));
    if (!answer.ok()) {
      return Annotate(std::move(answer).error(),
                      (create ? "create " : "replace ") + Named(secret.ns, secret.name));
    }
    return DecodeSecret(*answer, false);
  }

  Result<void> Delete(const Context& ctx, std::string_view ns, std::string_view name,
                      std::string_view uid) override {
    auto done = client_.Delete(ctx, Secrets(), {std::string(ns), std::string(name)},
                               {.uid = std::string(uid)});
    if (done.ok() || done.error().code == ErrorCode::kNotFound) return {};
    return Annotate(std::move(done).error(), "delete " + Named(ns, name));
  }

 private:
  kube::Client& client_;
};

}  // namespace

std::unique_ptr<seams::SecretStore> MakeKubeSecretStore(kube::Client& client) {
  return std::make_unique<KubeSecretStore>(client);
}

}  // namespace certflow::providers::store

#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>

#include "controller/seams/secret_store.h"

namespace certflow::fakes {

seams::SecretObject CloneSecret(const seams::SecretObject& secret);

// Secrets in memory, with the API server's rules: conditional writes, creates that find the name
// taken, a type that does not change, deletes by uid. Not thread-safe.
class MemorySecretStore : public seams::SecretStore {
 public:
  Result<seams::SecretObject> Get(const Context& ctx, std::string_view ns,
                                  std::string_view name) override;
  Result<seams::SecretObject> Put(const Context& ctx, const seams::SecretObject& secret) override;
  Result<void> Delete(const Context& ctx, std::string_view ns, std::string_view name,
                      std::string_view uid) override;

  // Straight into the world, past faults and counters.
  const seams::SecretObject* Peek(const std::string& ns, const std::string& name) const;
  void Place(seams::SecretObject secret);
  void Remove(const std::string& ns, const std::string& name) { secrets_.erase({ns, name}); }
  std::size_t size() const { return secrets_.size(); }

  // Requests since the last reset, by kind: "GET", "POST", "PUT", "DELETE".
  std::map<std::string, int> requests;
  int total_requests = 0;
  void ResetCounters() {
    requests.clear();
    total_requests = 0;
  }
  // Called before and after every request with its number from 1 on; an error takes the place of
  // the answer.
  std::function<Result<void>(int request)> before;
  std::function<Result<void>(int request)> after;

 private:
  using Key = std::pair<std::string, std::string>;
  Result<void> Count(const std::string& kind);

  std::map<Key, seams::SecretObject> secrets_;
  int next_version_ = 1;
};

}  // namespace certflow::fakes

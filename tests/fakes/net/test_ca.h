#pragma once

#include <memory>
#include <string>
#include <vector>

namespace certflow::fakes {

struct PemPair {
  std::string cert;
  std::string key;
};

// A throw-away CA with P-256 keys. Certificates are valid from an hour ago for a day.
class TestCa {
 public:
  explicit TestCa(const std::string& common_name = "certflow test CA");
  ~TestCa();

  const std::string& pem() const;
  // `names` are DNS names or IP addresses; the first is the common name.
  PemPair Issue(const std::vector<std::string>& names) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace certflow::fakes

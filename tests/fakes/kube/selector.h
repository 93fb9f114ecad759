#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace certflow::fakes {

// labelSelector and fieldSelector of lists and watches.
class Selector {
 public:
  // Nothing for text that is no selector.
  static std::optional<Selector> Parse(std::string_view labels, std::string_view fields);
  bool Matches(const nlohmann::json& object) const;
  bool empty() const { return terms_.empty(); }

 private:
  enum class Kind { kIn, kNotIn, kExists, kMissing };
  struct Term {
    bool field = false;  // a dotted path instead of a label
    std::string key;
    Kind kind = Kind::kIn;
    std::vector<std::string> values;
  };
  static std::optional<Term> ParseTerm(std::string text, bool field);
  static bool Holds(const Term& term, const nlohmann::json& object);
  std::vector<Term> terms_;
};

}  // namespace certflow::fakes

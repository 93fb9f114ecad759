#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controller/base/result.h"
#include "controller/seams/target.h"
#include "providers/http/request.h"

namespace certflow::providers::http {

// spec.http.steps.list: where in an answer the certificates are.
struct ListStep {
  Step requests;
  Pointer items, name, id;
  std::vector<std::pair<Pointer, std::string>> complete;  // what a whole object shows
  std::optional<Pointer> next_page;
};

// A request whose answer says whether the device is through: not while one of `equals` differs.
struct HttpSteps {
  ListStep list;
  Step observe, stage, activate, discard, read_back, settle, deactivate, remove;
};

// Decodes spec.http.steps and checks which fields each step may name. kInvalid, "InvalidSettings".
Result<HttpSteps> ParseSteps(std::string_view settings_json);

// The parameters of a binding ({"parameters": {...}}) as template fields "parameters.NAME".
Result<Values> BindingValues(const seams::Binding& at);
// The bundle's fields for the step that stages; the key is borrowed from it.
Result<void> AddBundle(const seams::Bundle& bundle, Values& values);

// The names of outside objects.
class ObjectNames {
 public:
  explicit ObjectNames(const seams::Binding& at);
  std::string Of(std::string_view version) const { return own_ + std::string(version); }
  // The version in a name of ours; empty for other names.
  std::string VersionIn(std::string_view name) const;
  // Whether another workflow keeps this place.
  bool IsOthers(std::string_view name) const;

 private:
  std::string place_;  // 8 hex
  std::string own_;    // with the dash before the version
};
// A run's name, safe in every context. kInvalid, "InvalidVersion".
Result<void> CheckVersion(std::string_view version);

}  // namespace certflow::providers::http

#include "controller/workflow/run_id.h"

#include "controller/base/base64.h"

namespace certflow::workflow {

std::string RunName(std::string_view workflow_uid, std::int64_t number) {
  std::string input = std::string(workflow_uid) + "/" + std::to_string(number);
  return "st-" + Sha256Hex(input).substr(0, 10);
}

std::string DisplayRunName(std::string_view name) {
  std::string out(name);
  if (out.starts_with("st-")) out.replace(0, 2, "ST");
  return out;
}

std::string CanonicalRunName(std::string_view typed) {
  std::string out(typed);
  if (out.starts_with("ST-")) out.replace(0, 2, "st");
  return out;
}

}  // namespace certflow::workflow

#include "controller/workflow/approval.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace certflow {

// The annotations by which people decide.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const bool on_workflow : {false, true}) {
    const auto decision = workflow::ParseDecision(text, on_workflow);
    if (decision.ok() && (decision->gate.empty() || decision->user.empty())) __builtin_trap();
  }
  return 0;
}

}  // namespace certflow

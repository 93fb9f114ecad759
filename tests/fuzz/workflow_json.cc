#include "controller/api/workflow.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "controller/kube/document_json.h"

namespace certflow {

// A workflow as the API server gives it; what is written back is JSON again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto document = kube::ParseDocument(text);
  if (!document.ok()) return 0;
  const auto workflow = api::DecodeWorkflow(*document);
  if (!workflow.ok()) return 0;
  if (!kube::ParseDocument(api::EncodeWorkflowStatus(*workflow)).ok()) __builtin_trap();
  return 0;
}

}  // namespace certflow

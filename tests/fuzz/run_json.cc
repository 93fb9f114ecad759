#include "controller/api/run.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "controller/kube/document_json.h"

namespace certflow {

// A run as the API server gives it; what is written back is JSON again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto document = kube::ParseDocument(text);
  if (!document.ok()) return 0;
  auto run = api::DecodeRun(*document);
  if (!run.ok()) return 0;
  api::Compact(*run);
  if (!kube::ParseDocument(api::EncodeRunStatus(*run)).ok()) __builtin_trap();
  return 0;
}

}  // namespace certflow

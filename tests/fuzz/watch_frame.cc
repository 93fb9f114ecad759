#include "controller/kube/watch_stream.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace certflow {

// What an API server sends in a watch.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  kube::LineSplitter splitter;
  // In two pieces, as a network would.
  const kube::LineSplitter::Line decode = [](std::string_view line) -> Result<void> {
    CF_RETURN_IF_ERROR(kube::DecodeWatchLine(line));
    return {};
  };
  if (splitter.Feed(text.substr(0, size / 2), decode).ok()) {
    (void)splitter.Feed(text.substr(size / 2), decode).ok();
  }
  return 0;
}

}  // namespace certflow

#pragma once

// For .cc files of this folder: the framing of a watch.

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "controller/base/result.h"
#include "controller/kube/client.h"

namespace certflow::kube {

// Cuts a stream into lines, whatever the chunks.
class LineSplitter {
 public:
  static constexpr std::size_t kMaxLineBytes = 8u << 20;
  using Line = std::function<Result<void>(std::string_view)>;

  // Calls `line` for every complete line, without its newline; stops at its first error. A line
  // above the limit is kUnavailable, "WatchLineTooLong".
  Result<void> Feed(std::string_view chunk, const Line& line);
  // Something is left that has no newline.
  bool InLine() const { return !rest_.empty(); }

 private:
  std::string rest_;
};

// The line without the object's metadata.managedFields: what the server notes of who wrote which
// field is up to half of an object, and costs the most to read. A line that is no JSON stays none.
std::string WithoutManagedFields(std::string_view line);

// One line of a watch, without metadata.managedFields. An ERROR event is the error it carries; what
// is no event at all is kUnavailable, "BrokenStream".
Result<WatchEvent> DecodeWatchLine(std::string_view line);

}  // namespace certflow::kube

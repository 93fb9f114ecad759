#pragma once

#include <string>
#include <vector>

#include "controller/base/context.h"
#include "controller/base/result.h"

namespace certflow::seams {

struct Notification {
  std::string id;  // made of run, event and channel: the receiver's key to tell repeats
  std::vector<std::string> to;
  std::vector<std::string> cc;
  std::vector<std::string> bcc;
  std::string subject;  // plain text, one line
  std::string body;     // plain text
};

// Sends at least once: an unknown outcome is sent again with the same id.
class Notifier {
 public:
  virtual ~Notifier() = default;
  virtual Result<void> Send(const Context& ctx, const Notification& notification) = 0;
};

}  // namespace certflow::seams

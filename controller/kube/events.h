#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "controller/base/context.h"
#include "controller/kube/client.h"

namespace certflow::kube {

struct EventRegarding {
  std::string api_version;
  std::string kind;
  std::string ns;
  std::string name;
  std::string uid;
};

struct EventNote {
  EventRegarding regarding;
  bool warning = false;
  std::string reason;  // UpperCamelCase
  std::string action;  // what was tried, UpperCamelCase
  std::string note;    // sanitized and cut to 1024 bytes by the recorder
};

// events.k8s.io/v1. Thread-safe; never blocks and never fails the caller: notes go through a
// bounded queue (kMaxQueued, the newest is dropped and counted when it is full), the same note
// within six minutes becomes a series, and per object at most a burst of 25 with one more every
// five minutes leaves.
class EventRecorder {
 public:
  static constexpr std::size_t kMaxQueued = 1000;
  virtual ~EventRecorder() = default;
  virtual void Record(EventNote note) = 0;
  // Sends what is queued until the context ends.
  virtual void Flush(const Context& ctx) = 0;
};

// Runs one thread ("events") until destroyed.
std::unique_ptr<EventRecorder> MakeEventRecorder(Client& client, Clock& clock, Metrics& metrics,
                                                 Logger log, std::string controller,
                                                 const std::string& instance);

}  // namespace certflow::kube

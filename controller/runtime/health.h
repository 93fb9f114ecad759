#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "controller/base/mutex.h"
#include "controller/base/result.h"

namespace certflow::runtime {

// The named checks behind /livez ("restart me when this fails") and /readyz ("send me work").
// Thread-safe. A check answers at once from memory: it is called on the thread of the request, with
// no lock held. Its error's message is the reason.
class Health {
 public:
  enum class Probe { kLive, kReady };
  using Check = std::function<Result<void>()>;
  struct Finding {
    std::string name;
    std::optional<std::string> failure;
  };
  struct Report {
    std::vector<Finding> findings;  // in the order of Add
    bool ok() const;
    // One line a check, as the API server prints them: "[+]name ok", "[-]name failed: reason".
    std::string Text() const;
  };

  // A check of the same probe and name is replaced.
  void Add(Probe probe, std::string name, Check check);
  // Empty and ok when there are no checks.
  Report Run(Probe probe) const;

 private:
  struct Entry {
    Probe probe;
    std::string name;
    Check check;
  };
  mutable Mutex mutex_;
  std::vector<Entry> entries_ CF_GUARDED_BY(mutex_);
};

}  // namespace certflow::runtime

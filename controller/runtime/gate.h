#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "controller/base/clock.h"
#include "controller/base/metrics.h"

namespace certflow::runtime {

// Who may touch an outside party: by name ("ssh/10.0.0.7:22"), one action and two reads at a time
// where the caller names no other limits.
// Nobody waits here: when it is full the key comes back a second later. A party that hangs or
// cannot be reached `kFailuresToOpen` times in a row opens its breaker: nobody is let in until the
// pause is over, then one is, to try. Thread-safe; entries that are idle and healthy are forgotten.
class GateKeeper {
 public:
  static constexpr int kFailuresToOpen = 3;
  static constexpr Duration kRetryFull{1'000};
  static constexpr Duration kFirstPause{15'000};
  static constexpr Duration kLongestPause{300'000};

  enum class Access { kRead, kAct };
  // How many may be with a party at once.
  struct Limits {
    int actions = 1;
    int reads = 2;
  };
  enum class Refusal { kFull, kOpen };

  // Leave() or destruction frees the place. `healthy` false counts towards the breaker; destruction
  // alone says nothing about health. A pass may outlive the keeper, not its clock and metrics.
  class Pass {
   public:
    Pass(Pass&&) noexcept;
    Pass& operator=(Pass&&) noexcept;
    ~Pass();
    void Leave(bool healthy);

   private:
    friend class GateKeeper;
    struct State;
    explicit Pass(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
  };
  struct Denied {
    Refusal why;
    Duration again_after;
  };

  // Told when a party's breaker opened or closed, on the thread that found out, without a lock.
  using OnBreaker = std::function<void(std::string_view name)>;
  GateKeeper(Clock& clock, Metrics& metrics, OnBreaker on_breaker = nullptr);
  ~GateKeeper();
  // A pass, or why not. An empty name is always let in.
  std::optional<Pass> Enter(std::string_view name, Access access, Denied* denied, Limits limits);
  std::optional<Pass> Enter(std::string_view name, Access access, Denied* denied) {
    return Enter(name, access, denied, Limits{});
  }

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace certflow::runtime

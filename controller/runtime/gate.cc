#include "controller/runtime/gate.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "controller/base/mutex.h"

namespace certflow::runtime {
namespace {

// While somebody tries a party whose breaker is open, there is no hurry for the others.
constexpr Duration kRetryWhileTrying{5'000};
// A party that nobody has asked about for so long is forgotten, open breaker or not.
constexpr std::chrono::hours kForgetAfter{1};
constexpr std::size_t kSmallestSweep = 256;

struct NameHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view name) const {
    return std::hash<std::string_view>{}(name);
  }
};

struct Party {
  int acting = 0;
  int reading = 0;
  int failures = 0;   // in a row
  Duration pause{0};  // zero: the breaker is closed
  SteadyTime open_until{};
  SteadyTime last_asked{};
  bool trying = false;

  bool open() const { return pause > Duration::zero(); }
  bool busy() const { return acting > 0 || reading > 0; }
};

}  // namespace

struct GateKeeper::Impl {
  Impl(Clock& its_clock, Metrics& its_metrics, OnBreaker its_on_breaker)
      : clock(its_clock), metrics(its_metrics), on_breaker(std::move(its_on_breaker)) {}

  std::optional<Denied> Refuse(const Party& party, Access access, Limits limits, SteadyTime now)
      CF_REQUIRES(mutex) {
    if (party.open()) {
      if (now < party.open_until) {
        return Denied{Refusal::kOpen, std::chrono::ceil<Duration>(party.open_until - now)};
      }
      if (party.trying) return Denied{Refusal::kOpen, kRetryWhileTrying};
    }
    const bool full =
        access == Access::kAct ? party.acting >= limits.actions : party.reading >= limits.reads;
    if (full) return Denied{Refusal::kFull, kRetryFull};
    return std::nullopt;
  }

  void Leave(const std::string& name, Access access, bool trial, std::optional<bool> healthy) {
    if (LeaveLocked(name, access, trial, healthy) && on_breaker) on_breaker(name);
  }

  // True when the breaker opened or closed.
  bool LeaveLocked(const std::string& name, Access access, bool trial,
                   std::optional<bool> healthy) {
    MutexLock lock(mutex);
    const auto found = parties.find(name);
    if (found == parties.end()) return false;
    Party& party = found->second;
    --(access == Access::kAct ? party.acting : party.reading);
    if (trial) party.trying = false;
    const bool was_open = party.open();
    // What was let in before the breaker opened says nothing new.
    if (healthy && (!was_open || trial)) Judge(party, *healthy);
    const bool changed = party.open() != was_open;
    if (!party.busy() && party.failures == 0 && !party.open()) parties.erase(found);
    return changed;
  }

  void Judge(Party& party, bool healthy) CF_REQUIRES(mutex) {
    const bool was_open = party.open();
    if (healthy) {
      party.failures = 0;
      party.pause = Duration::zero();
    } else if (++party.failures >= kFailuresToOpen) {
      party.pause = was_open ? std::min(party.pause * 2, kLongestPause) : kFirstPause;
      party.open_until = clock.Steady() + party.pause;
    }
    if (party.open() != was_open) CountOpen(party.open() ? 1 : -1);
  }

  void CountOpen(int by) CF_REQUIRES(mutex) {
    open += by;
    metrics.Set("certflow_gate_open_breakers", "Outside parties that are left alone for now.", {},
                open);
  }

  // Each sweep is paid for by as many new parties as it looks at.
  void Sweep(SteadyTime now) CF_REQUIRES(mutex) {
    if (parties.size() < next_sweep) return;
    for (auto party = parties.begin(); party != parties.end();) {
      const Party& of = party->second;
      if (of.busy() || of.last_asked + kForgetAfter > now) {
        ++party;
        continue;
      }
      if (of.open()) CountOpen(-1);
      party = parties.erase(party);
    }
    next_sweep = std::max(kSmallestSweep, parties.size() * 2);
  }

  Clock& clock;
  Metrics& metrics;
  const OnBreaker on_breaker;
  Mutex mutex;
  std::unordered_map<std::string, Party, NameHash, std::equal_to<>> parties CF_GUARDED_BY(mutex);
  std::size_t next_sweep CF_GUARDED_BY(mutex) = kSmallestSweep;
  int open CF_GUARDED_BY(mutex) = 0;
};

struct GateKeeper::Pass::State {
  std::shared_ptr<Impl> impl;  // null: of an empty name
  std::string name;
  Access access = Access::kRead;
  bool trial = false;
};

GateKeeper::Pass::Pass(std::unique_ptr<State> state) : state_(std::move(state)) {}
GateKeeper::Pass::Pass(Pass&&) noexcept = default;

GateKeeper::Pass& GateKeeper::Pass::operator=(Pass&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

GateKeeper::Pass::~Pass() {
  if (state_ && state_->impl) {
    state_->impl->Leave(state_->name, state_->access, state_->trial, std::nullopt);
  }
}

void GateKeeper::Pass::Leave(bool healthy) {
  const std::unique_ptr<State> state = std::move(state_);
  if (state && state->impl) {
    state->impl->Leave(state->name, state->access, state->trial, healthy);
  }
}

GateKeeper::GateKeeper(Clock& clock, Metrics& metrics, OnBreaker on_breaker)
    : impl_(std::make_shared<Impl>(clock, metrics, std::move(on_breaker))) {}

GateKeeper::~GateKeeper() = default;

std::optional<GateKeeper::Pass> GateKeeper::Enter(std::string_view name, Access access,
                                                  Denied* denied, Limits limits) {
  auto state = std::make_unique<Pass::State>();
  if (name.empty()) return Pass(std::move(state));
  const SteadyTime now = impl_->clock.Steady();
  MutexLock lock(impl_->mutex);
  impl_->Sweep(now);
  auto found = impl_->parties.find(name);
  if (found == impl_->parties.end()) {
    found = impl_->parties.emplace(std::string(name), Party{}).first;
  }
  Party& party = found->second;
  party.last_asked = now;
  if (const std::optional<Denied> refused = impl_->Refuse(party, access, limits, now)) {
    impl_->metrics.Add("certflow_gate_denied_total", "Keys sent back from an outside party.",
                       {{"why", refused->why == Refusal::kFull ? "full" : "open"}});
    if (denied != nullptr) *denied = *refused;
    return std::nullopt;
  }
  state->trial = party.trying = party.open();
  ++(access == Access::kAct ? party.acting : party.reading);
  state->impl = impl_;
  state->name = name;
  state->access = access;
  return Pass(std::move(state));
}

}  // namespace certflow::runtime

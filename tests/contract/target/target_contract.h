#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "controller/base/context.h"
#include "controller/seams/target.h"
#include "tests/fakes/clock/simulated_clock.h"

namespace certflow::contract {

// A pair as PEM, copyable for tests.
struct Pair {
  std::string chain;
  std::string key;
  std::string fingerprint;
  seams::Bundle AsBundle(const std::string& version) const;
  friend bool operator==(const Pair&, const Pair&) = default;
};
Pair MakePair(const std::string& name);

// Where a fault strikes: at the n-th outside interaction from now, before or after it took effect.
struct Cut {
  int interaction = 0;  // 0: never
  bool after = false;
};

// A device with a target on it, and its outside.
class TargetWorld {
 public:
  virtual ~TargetWorld() = default;
  // A new process: nothing of an earlier one's memory is left.
  virtual std::unique_ptr<seams::Target> Connect() = 0;
  virtual seams::Binding Binding(const std::string& workflow) const = 0;
  // What somebody else put there, or nothing.
  virtual void PutForeign(const seams::Binding& at, const Pair& pair) = 0;
  virtual void Empty(const seams::Binding& at) = 0;
  // What its users would read now; empty when there is nothing.
  virtual std::optional<Pair> Live(const seams::Binding& at) = 0;
  // Counts interactions from 1 again, and lets one of them fail.
  virtual void Arm(Cut cut) = 0;
  virtual int interactions() const = 0;
};

class TargetContract : public testing::TestWithParam<std::unique_ptr<TargetWorld> (*)()> {
 protected:
  TargetContract();
  Context ctx() { return {clock_}; }
  std::unique_ptr<seams::Target> Connect() { return world_->Connect(); }
  // Looks, stages, activates and waits until it is through, in one process, and expects it to work.
  // What the look told of the way back is kept, as the ledger does.
  void Deploy(const Pair& pair, const std::string& version);
  // What was active before the last Deploy, as the target tells it or the note says.
  std::string Previous();
  // Switches, in a process of its own, and waits until it is through.
  void Switch(const seams::StagedRef& which);
  // Goes back, with what was recorded of `version`.
  void GoBack(const std::string& version) { Switch({version, true, ways_[version]}); }
  void ExpectLive(const Pair& pair);
  seams::TargetState Observe();
  void Reset(const std::optional<Pair>& foreign);

  fakes::SimulatedClock clock_;
  std::unique_ptr<TargetWorld> world_;
  seams::Binding at_;
  std::map<std::string, seams::WayBack> ways_;  // by what was active
  std::string noted_previous_;
};

// The pair that MakePair made with this certificate, for worlds that show only what is served.
std::optional<Pair> PairOf(const std::string& fingerprint);

}  // namespace certflow::contract

#pragma once

#include <algorithm>
#include <stop_token>

#include "controller/base/clock.h"
#include "controller/base/log.h"
#include "controller/base/result.h"

namespace certflow {

// First parameter of everything that may wait; never stored.
struct Context {
  Clock& clock;
  SteadyTime deadline = SteadyTime::max();
  std::stop_token stop;
  Logger log;  // already carries workflow, run and step

  // Never later than the parent.
  Context WithTimeout(Duration limit) const {
    Context child = *this;
    child.deadline = std::min(deadline, clock.Steady() + limit);
    return child;
  }
  Context WithLog(std::initializer_list<LogField> fields) const {
    Context child = *this;
    child.log = log.With(fields);
    return child;
  }
  Context WithStop(std::stop_token token) const {
    Context child = *this;
    child.stop = std::move(token);
    return child;
  }
  bool stopped() const { return stop.stop_requested(); }
  // kCancelled or kTimeout when there is no point in starting.
  Result<void> Check() const;
};

}  // namespace certflow

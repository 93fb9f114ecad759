#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>

#include "controller/base/clock.h"

namespace certflow::workflow {

// What a step must remember; bounded by the seams' limits, nothing secret.
using StepMemo = std::map<std::string, std::string>;

// kReadOnly changes nothing. kRepeatable may be done again at any time, or undoes itself when cut
// off: no intent is needed. kGuarded can be taken back only with what the intent records. kOnce
// must not be done twice.
enum class Effect { kReadOnly, kRepeatable, kGuarded, kOnce };

// The end state is present.
struct Done {
  std::string reason;  // PascalCase, for the ledger
  std::string message;
  StepMemo memo;         // replaces the entry's memo when not empty
  bool skipped = false;  // there was nothing to do in this run; the reason says why
};
// Act is to be called. `memo` is recorded with the intent and given to Act.
struct Needed {
  std::string action;
  Effect effect = Effect::kRepeatable;
  StepMemo memo;
};
// The other side is working; look again after `poll_after`.
struct InProgress {
  std::string waiting_for;
  Duration poll_after{2'000};
  std::optional<WallTime> until;  // when waiting ends
  StepMemo memo;
};
// A person, a window or an operator has to act; a change of an object brings the key back earlier.
struct Blocked {
  std::string waiting_for;
  std::optional<WallTime> until;
  Duration look_again{60'000};
};
using Observation = std::variant<Done, Needed, InProgress, Blocked>;

}  // namespace certflow::workflow

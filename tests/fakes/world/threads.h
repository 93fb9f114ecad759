#pragma once

namespace certflow::fakes {

// Every thread of this process but the caller's sleeps, and none ran while this was found out:
// until time passes or somebody outside acts, none will do anything. A thread that waits for a
// processor does not sleep.
bool OtherThreadsSleep();

}  // namespace certflow::fakes

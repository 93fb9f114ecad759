#pragma once

#include <string>

namespace certflow::app {

// Host name and a UUID of this process, as Lease holders are named.
std::string ReplicaIdentity();

}  // namespace certflow::app

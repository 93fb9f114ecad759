#pragma once

#include <cstdint>

namespace certflow::fakes {

// A listening socket on 127.0.0.1 with a port that the system chose; throws when there is none.
int ListenOnLoopback();
std::uint16_t PortOf(int fd);

}  // namespace certflow::fakes

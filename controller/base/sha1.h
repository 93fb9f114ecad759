#pragma once

#include <string>
#include <string_view>

namespace certflow {

// SHA-1 as raw 20 bytes: no protection, only for comparing with what others computed.
std::string Sha1(std::string_view bytes);

}  // namespace certflow

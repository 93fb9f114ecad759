#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace certflow {

// One character of UTF-8 (RFC 3629: no overlong forms, surrogates or values above U+10FFFF).
struct Utf8Char {
  std::uint32_t code = 0;
  std::size_t bytes = 0;  // 0: what stands there is not a valid character
};

// The character at the front of `text`, which must not be empty.
Utf8Char DecodeUtf8(std::string_view text);

}  // namespace certflow

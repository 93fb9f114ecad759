#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "controller/base/result.h"
#include "controller/base/secret.h"

namespace certflow {

std::string Base64Encode(std::string_view bytes);
// RFC 4648 section 5 without padding, as JOSE wants it.
std::string Base64UrlEncode(std::string_view bytes);
// Strict: alphabet, length and padding are checked; ASCII white space is skipped.
Result<SecretBytes> Base64Decode(std::string_view text);
Result<SecretBytes> Base64UrlDecode(std::string_view text);

// Lower-case hex.
std::string HexEncode(std::string_view bytes);
// SHA-256 as raw 32 bytes.
std::string Sha256(std::string_view bytes);
inline std::string Sha256Hex(std::string_view bytes) { return HexEncode(Sha256(bytes)); }
// HMAC (RFC 2104); digest "SHA1", "SHA224", "SHA256", "SHA384" or "SHA512"; raw bytes.
Result<std::string> Hmac(std::string_view digest, std::string_view key, std::string_view data);

}  // namespace certflow

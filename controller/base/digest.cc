#include <openssl/evp.h>

#include <array>
#include <new>

#include "controller/base/base64.h"
#include "controller/base/sha1.h"

namespace certflow {
namespace {

bool IsHmacDigest(std::string_view digest) {
  return digest == "SHA1" || digest == "SHA224" || digest == "SHA256" || digest == "SHA384" ||
         digest == "SHA512";
}

std::string Digest(std::string_view bytes, const EVP_MD* kind, std::size_t length) {
  std::string digest(length, '\0');
  unsigned int size = 0;
  const int done =
      EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()), &size,
                 kind, nullptr);
  // Both are in every provider; only memory can be missing.
  if (done != 1) throw std::bad_alloc();
  return digest;
}

}  // namespace

std::string HexEncode(std::string_view bytes) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += kHex[byte >> 4];
    text += kHex[byte & 15];
  }
  return text;
}

std::string Sha256(std::string_view bytes) { return Digest(bytes, EVP_sha256(), 32); }
std::string Sha1(std::string_view bytes) { return Digest(bytes, EVP_sha1(), 20); }

Result<std::string> Hmac(std::string_view digest, std::string_view key, std::string_view data) {
  if (!IsHmacDigest(digest)) {
    return MakeError(ErrorCode::kInvalid, "UnknownDigest",
                     "HMAC with \"" + Sanitize(digest, 32) + "\" is not supported");
  }
  const std::string name(digest);
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
  std::size_t size = 0;
  // OpenSSL takes a null key for "no key set", which an empty key is not.
  const char* key_data = key.empty() ? "" : key.data();
  const auto* input = reinterpret_cast<const unsigned char*>(data.data());
  if (EVP_Q_mac(nullptr, "HMAC", nullptr, name.c_str(), nullptr, key_data, key.size(), input,
                data.size(), mac.data(), mac.size(), &size) == nullptr) {
    return MakeError(ErrorCode::kInternal, "HmacFailed", "OpenSSL could not compute an HMAC");
  }
  return std::string(reinterpret_cast<const char*>(mac.data()), size);
}

}  // namespace certflow

#include "controller/base/secret.h"

#include <openssl/crypto.h>

#include <cstring>

namespace certflow {

SecretBytes::SecretBytes(std::string_view bytes) : size_(bytes.size()) {
  if (size_ == 0) return;
  data_ = new char[size_];
  std::memcpy(data_, bytes.data(), size_);
}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  if (this == &other) return *this;
  Wipe();
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

SecretBytes::~SecretBytes() { Wipe(); }

SecretBytes SecretBytes::Take(std::string&& bytes) {
  SecretBytes taken(bytes);
  WipeString(bytes);
  return taken;
}

void SecretBytes::Wipe() noexcept {
  if (data_ != nullptr) OPENSSL_cleanse(data_, size_);
  delete[] data_;
  data_ = nullptr;
  size_ = 0;
}

void WipeString(std::string& text) noexcept {
  // Growing to the capacity allocates nothing and makes the whole buffer ours to write.
  text.resize(text.capacity());
  OPENSSL_cleanse(text.data(), text.size());
  text.clear();
}

bool SecretEquals(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  return a.empty() || CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace certflow

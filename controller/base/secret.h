#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace certflow {

// Bytes that must not be seen: moves, never copies, wipes itself, cannot be printed.
// Reveal() is the one exit; what is made of the view must be a SecretBytes again or leave the
// process at once.
class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(std::string_view bytes);
  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes();

  // Takes the contents of `bytes` over and wipes what was there, small-string buffer included.
  static SecretBytes Take(std::string&& bytes);

  std::string_view Reveal() const { return {data_, size_}; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // An explicit second copy, for the few places that need one.
  SecretBytes Clone() const { return SecretBytes(Reveal()); }

 private:
  void Wipe() noexcept;
  char* data_ = nullptr;
  std::size_t size_ = 0;
};

// Overwrites the string's whole buffer in a way that the compiler cannot leave out.
void WipeString(std::string& text) noexcept;

// Compares in time that depends on the sizes only.
bool SecretEquals(std::string_view a, std::string_view b);

}  // namespace certflow

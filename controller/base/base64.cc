#include "controller/base/base64.h"

#include <array>
#include <cstdint>

namespace certflow {
namespace {

constexpr std::string_view kStandard =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrl =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

std::string Encode(std::string_view bytes, std::string_view alphabet, bool pad) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  std::uint32_t bits = 0;
  int held = 0;
  for (char c : bytes) {
    bits = (bits << 8) | static_cast<unsigned char>(c);
    held += 8;
    while (held >= 6) {
      held -= 6;
      text += alphabet[(bits >> held) & 63];
    }
  }
  if (held > 0) text += alphabet[(bits << (6 - held)) & 63];
  while (pad && text.size() % 4 != 0) text += '=';
  return text;
}

using ReverseTable = std::array<std::int8_t, 256>;

constexpr ReverseTable Reverse(std::string_view alphabet) {
  ReverseTable table{};
  table.fill(-1);
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    table[static_cast<unsigned char>(alphabet[i])] = static_cast<std::int8_t>(i);
  }
  return table;
}

constexpr ReverseTable kFromStandard = Reverse(kStandard);
constexpr ReverseTable kFromUrl = Reverse(kUrl);

bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

// Collects decoded bytes; the message never quotes the text, because it may be a secret.
class Decoder {
 public:
  explicit Decoder(const ReverseTable& table) : table_(table) {}

  // False for a character that may not stand here.
  bool Add(char c) {
    if (c == '=') return ++padding_ <= 2;
    const int value = table_[static_cast<unsigned char>(c)];
    if (value < 0 || padding_ > 0) return false;
    bits_ = (bits_ << 6) | static_cast<std::uint32_t>(value);
    held_ += 6;
    ++digits_;
    if (held_ >= 8) {
      held_ -= 8;
      bytes_ += static_cast<char>((bits_ >> held_) & 255);
    }
    return true;
  }
  // Length, padding and the unused low bits (RFC 4648, 3.5) are right.
  bool Complete(bool padded) const {
    if (digits_ % 4 == 1 || (bits_ & ((1u << held_) - 1)) != 0) return false;
    const std::size_t wanted = padded ? (4 - digits_ % 4) % 4 : 0;
    return padding_ == wanted;
  }
  void Reserve(std::size_t size) { bytes_.reserve(size); }
  SecretBytes Take() { return SecretBytes::Take(std::move(bytes_)); }
  ~Decoder() { WipeString(bytes_); }

 private:
  const ReverseTable& table_;
  std::string bytes_;
  std::uint32_t bits_ = 0;
  int held_ = 0;
  std::size_t digits_ = 0;
  std::size_t padding_ = 0;
};

Result<SecretBytes> Decode(std::string_view text, const ReverseTable& table, bool padded) {
  Decoder decoder(table);
  // Reserved in one piece, so that growing leaves no unwiped copies behind.
  decoder.Reserve(text.size() / 4 * 3 + 3);
  for (char c : text) {
    if (IsSpace(c)) continue;
    if (!decoder.Add(c)) {
      return MakeError(ErrorCode::kInvalid, "InvalidBase64", "not base64: unexpected character");
    }
  }
  if (!decoder.Complete(padded)) {
    return MakeError(ErrorCode::kInvalid, "InvalidBase64", "not base64: wrong length or padding");
  }
  return decoder.Take();
}

}  // namespace

std::string Base64Encode(std::string_view bytes) { return Encode(bytes, kStandard, true); }
std::string Base64UrlEncode(std::string_view bytes) { return Encode(bytes, kUrl, false); }

Result<SecretBytes> Base64Decode(std::string_view text) {
  return Decode(text, kFromStandard, true);
}
Result<SecretBytes> Base64UrlDecode(std::string_view text) { return Decode(text, kFromUrl, false); }

}  // namespace certflow

#include "providers/solvers/dns_message.h"

#include <algorithm>

#include "controller/base/ascii.h"

namespace certflow::providers::solvers {
namespace {

constexpr std::size_t kHeader = 12;
constexpr std::size_t kMaxName = 253;
constexpr std::size_t kMaxLabel = 63;
constexpr std::size_t kMaxCharacterString = 255;
constexpr int kMaxJumps = 32;
constexpr std::size_t kMaxRecords = 1000;

Error BadAnswer() {
  return MakeError(ErrorCode::kRefused, "DnsBadAnswer", "the name server's answer is malformed");
}

bool IsNameChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

std::string Header(std::uint16_t id, std::uint16_t flags, std::uint16_t updates) {
  std::string out;
  AppendU16(out, id);
  AppendU16(out, flags);
  AppendU16(out, 1);
  AppendU16(out, 0);
  AppendU16(out, updates);
  AppendU16(out, 0);
  return out;
}

void AppendTypeClass(std::string& out, RecordType type, RecordClass klass) {
  AppendU16(out, static_cast<std::uint16_t>(type));
  AppendU16(out, static_cast<std::uint16_t>(klass));
}

std::string CharacterStrings(std::string_view text) {
  std::string out;
  do {
    const std::string_view part = text.substr(0, kMaxCharacterString);
    out += static_cast<char>(part.size());
    out += part;
    text.remove_prefix(part.size());
  } while (!text.empty());
  return out;
}

Result<DnsRecord> ReadRecord(std::string_view message, std::size_t& at) {
  DnsRecord record;
  record.offset = at;
  CF_ASSIGN_OR_RETURN(record.name, ReadName(message, at));
  if (message.size() - at < 10) return BadAnswer();
  record.type = ReadU16(message, at);
  record.klass = ReadU16(message, at + 2);
  record.ttl =
      static_cast<std::uint32_t>(ReadU16(message, at + 4)) << 16 | ReadU16(message, at + 6);
  const std::size_t length = ReadU16(message, at + 8);
  at += 10;
  if (message.size() - at < length) return BadAnswer();
  record.data = message.substr(at, length);
  const auto type = static_cast<RecordType>(record.type);
  if (type == RecordType::kNs || type == RecordType::kCname) {
    std::size_t inside = at;
    CF_ASSIGN_OR_RETURN(std::string target, ReadName(message, inside));
    if (inside != at + length) return BadAnswer();
    if (target.find('?') == std::string::npos) record.target = std::move(target);
  }
  at += length;
  return record;
}

Result<void> ReadSection(std::string_view message, std::size_t count, std::size_t& at,
                         std::vector<DnsRecord>& records) {
  if (count > kMaxRecords) return BadAnswer();
  for (std::size_t i = 0; i < count; ++i) {
    CF_ASSIGN_OR_RETURN(DnsRecord record, ReadRecord(message, at));
    records.push_back(std::move(record));
  }
  return {};
}

}  // namespace

Result<std::string> CheckName(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  std::string out = LowerCase(name);
  const Error wrong =
      MakeError(ErrorCode::kInvalid, "DnsName", "not a DNS name: " + Sanitize(name, 300));
  if (out.size() > kMaxName) return wrong;
  std::size_t label = 0;
  for (const char c : out) {
    if (c == '.' ? label == 0 : !IsNameChar(c) || label == kMaxLabel) return wrong;
    label = c == '.' ? 0 : label + 1;
  }
  if (label == 0) return wrong;
  return out;
}

std::string NameToWire(std::string_view name) {
  std::string out;
  while (!name.empty()) {
    const std::string_view label = name.substr(0, name.find('.'));
    out += static_cast<char>(label.size());
    out += label;
    name.remove_prefix(std::min(name.size(), label.size() + 1));
  }
  return out + '\0';
}

void AppendU16(std::string& out, std::uint16_t value) {
  out += static_cast<char>(value >> 8);
  out += static_cast<char>(value & 0xff);
}

void AppendU32(std::string& out, std::uint32_t value) {
  AppendU16(out, static_cast<std::uint16_t>(value >> 16));
  AppendU16(out, static_cast<std::uint16_t>(value));
}

void AppendU48(std::string& out, std::uint64_t value) {
  AppendU16(out, static_cast<std::uint16_t>(value >> 32));
  AppendU32(out, static_cast<std::uint32_t>(value));
}

std::uint16_t ReadU16(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[at]) << 8 |
                                    static_cast<unsigned char>(bytes[at + 1]));
}

std::uint64_t ReadU48(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint64_t>(ReadU16(bytes, at)) << 32 |
         static_cast<std::uint64_t>(ReadU16(bytes, at + 2)) << 16 | ReadU16(bytes, at + 4);
}

std::string MakeQuery(std::uint16_t id, std::string_view name, RecordType type, bool recurse) {
  std::string out = Header(id, recurse ? 0x0100 : 0, 0);
  out += NameToWire(name);
  AppendTypeClass(out, type, RecordClass::kIn);
  return out;
}

std::string MakeUpdate(std::uint16_t id, const TxtUpdate& update) {
  std::string out = Header(id, static_cast<std::uint16_t>(Opcode::kUpdate) << 11, 1);
  out += NameToWire(update.zone);
  AppendTypeClass(out, RecordType::kSoa, RecordClass::kIn);
  const std::string data = CharacterStrings(update.value);
  out += NameToWire(update.name);
  AppendTypeClass(out, RecordType::kTxt, update.add ? RecordClass::kIn : RecordClass::kNone);
  AppendU32(out, update.add ? update.ttl : 0);
  AppendU16(out, static_cast<std::uint16_t>(data.size()));
  return out + data;
}

Result<std::string> ReadName(std::string_view message, std::size_t& at) {
  std::string name;
  std::size_t here = at;
  std::size_t lowest = at;  // pointers must go below, which ends every loop
  bool jumped = false;
  for (int jumps = 0; jumps <= kMaxJumps;) {
    if (here >= message.size()) return BadAnswer();
    const std::size_t length = static_cast<unsigned char>(message[here]);
    if (length >= 0xc0) {
      if (message.size() - here < 2) return BadAnswer();
      const std::size_t target = ReadU16(message, here) & 0x3fff;
      if (target >= lowest) return BadAnswer();
      if (!jumped) at = here + 2;
      jumped = true;
      lowest = here = target;
      ++jumps;
      continue;
    }
    if (length > kMaxLabel || message.size() - here - 1 < length) return BadAnswer();
    if (length == 0) {
      if (!jumped) at = here + 1;
      return name;
    }
    if (!name.empty()) name += '.';
    for (const char c : message.substr(here + 1, length)) {
      name += IsNameChar(LowerCase(c)) ? LowerCase(c) : '?';
    }
    if (name.size() > kMaxName) return BadAnswer();
    here += length + 1;
  }
  return BadAnswer();
}

Result<DnsMessage> ParseMessage(std::string_view bytes) {
  if (bytes.size() < kHeader || bytes.size() > kMaxDnsMessage) return BadAnswer();
  DnsMessage message;
  message.id = ReadU16(bytes, 0);
  const std::uint16_t flags = ReadU16(bytes, 2);
  message.response = (flags & 0x8000) != 0;
  message.authoritative = (flags & 0x0400) != 0;
  message.truncated = (flags & 0x0200) != 0;
  message.opcode = flags >> 11 & 0xf;
  message.rcode = flags & 0xf;
  std::size_t at = kHeader;
  const std::size_t questions = ReadU16(bytes, 4);
  if (questions > 1) return BadAnswer();
  if (questions == 1) {
    CF_RETURN_IF_ERROR(ReadName(bytes, at));
    if (bytes.size() - at < 4) return BadAnswer();
    at += 4;
  }
  CF_RETURN_IF_ERROR(ReadSection(bytes, ReadU16(bytes, 6), at, message.answers));
  CF_RETURN_IF_ERROR(ReadSection(bytes, ReadU16(bytes, 8), at, message.authorities));
  CF_RETURN_IF_ERROR(ReadSection(bytes, ReadU16(bytes, 10), at, message.additionals));
  if (at != bytes.size()) return BadAnswer();
  return message;
}

std::optional<std::string> JoinTxt(std::string_view data) {
  std::string text;
  while (!data.empty()) {
    const std::size_t length = static_cast<unsigned char>(data[0]);
    if (data.size() - 1 < length) return std::nullopt;
    text += data.substr(1, length);
    data.remove_prefix(length + 1);
  }
  return text;
}

}  // namespace certflow::providers::solvers

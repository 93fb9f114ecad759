#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/result.h"

// The part of the DNS wire format (RFC 1035) that updates and looks need. Names are lower-case text
// without the last dot, "" for the root; labels hold letters, digits, "-" and "_" only.
namespace certflow::providers::solvers {

enum class RecordType : std::uint16_t {
  kA = 1,
  kNs = 2,
  kCname = 5,
  kSoa = 6,
  kTxt = 16,
  kAaaa = 28,
  kTsig = 250
};
enum class RecordClass : std::uint16_t { kIn = 1, kNone = 254, kAny = 255 };
enum class Opcode : std::uint8_t { kQuery = 0, kUpdate = 5 };

// RFC 1035 section 4.1.1 and RFC 2136 section 2.2; others are kept as numbers.
inline constexpr int kNoError = 0;
inline constexpr int kServFail = 2;
inline constexpr int kNxDomain = 3;
inline constexpr int kRefused = 5;
inline constexpr int kNotAuth = 9;
inline constexpr int kNotZone = 10;

inline constexpr std::size_t kMaxDnsMessage = 65535;

struct DnsRecord {
  std::string name;
  std::uint16_t type = 0;
  std::uint16_t klass = 0;
  std::uint32_t ttl = 0;
  std::string data;        // as on the wire
  std::string target;      // NS, CNAME: the name; empty when it is none of ours
  std::size_t offset = 0;  // where the record begins in the message
};

struct DnsMessage {
  std::uint16_t id = 0;
  bool response = false;
  bool authoritative = false;
  bool truncated = false;
  int opcode = 0;
  int rcode = 0;
  std::vector<DnsRecord> answers, authorities, additionals;
};

// Lower-cases and checks a name; kInvalid, "DnsName".
Result<std::string> CheckName(std::string_view name);
// The wire form of a checked name.
std::string NameToWire(std::string_view name);

void AppendU16(std::string& out, std::uint16_t value);
void AppendU32(std::string& out, std::uint32_t value);
void AppendU48(std::string& out, std::uint64_t value);
std::uint16_t ReadU16(std::string_view bytes, std::size_t at);
std::uint64_t ReadU48(std::string_view bytes, std::size_t at);

std::string MakeQuery(std::uint16_t id, std::string_view name, RecordType type, bool recurse);

// Adds or deletes one TXT value (RFC 2136 sections 2.5.1 and 2.5.4).
struct TxtUpdate {
  std::string zone;
  std::string name;
  std::string value;
  bool add = true;
  std::uint32_t ttl = 60;
};
std::string MakeUpdate(std::uint16_t id, const TxtUpdate& update);

// Bounded by the message's own size; compression pointers must point backwards. kRefused,
// "DnsBadAnswer".
Result<DnsMessage> ParseMessage(std::string_view bytes);
// The character-strings of a TXT record, joined; empty when they do not fit.
std::optional<std::string> JoinTxt(std::string_view data);
// Reads a name at `at`, which moves behind it; names with other octets than ours come as "?".
Result<std::string> ReadName(std::string_view message, std::size_t& at);

}  // namespace certflow::providers::solvers

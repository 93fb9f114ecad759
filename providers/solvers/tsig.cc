#include "providers/solvers/tsig.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>

#include "controller/base/base64.h"

namespace certflow::providers::solvers {
namespace {

constexpr std::uint16_t kFudge = 300;
constexpr int kBadSig = 16;
constexpr int kBadKey = 17;
constexpr int kBadTime = 18;

struct Algorithm {
  std::string_view name;
  std::string_view digest;
};
constexpr std::array kAlgorithms = {Algorithm{"hmac-sha256", "SHA256"},
                                    Algorithm{"hmac-sha384", "SHA384"},
                                    Algorithm{"hmac-sha512", "SHA512"}};

struct TsigRecord {
  std::string algorithm;
  std::uint64_t time = 0;
  std::uint16_t fudge = 0;
  std::string mac;
  std::uint16_t original_id = 0;
  int error = 0;
  std::string other;
};

Error Settings(std::string_view what) {
  return MakeError(ErrorCode::kInvalid, "DnsSettings", what);
}

Error Untrusted(std::string_view what) {
  return MakeError(ErrorCode::kUntrusted, "DnsReplyUntrusted",
                   "the name server's reply " + std::string(what));
}

std::uint64_t UnixSeconds(WallTime time) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count());
}

// RFC 8945 section 4.3.3: the fields of the record that the MAC covers.
std::string Variables(const TsigKey& key, const TsigRecord& record) {
  std::string out = NameToWire(key.name);
  AppendU16(out, static_cast<std::uint16_t>(RecordClass::kAny));
  AppendU32(out, 0);
  out += NameToWire(record.algorithm);
  AppendU48(out, record.time);
  AppendU16(out, record.fudge);
  AppendU16(out, static_cast<std::uint16_t>(record.error));
  AppendU16(out, static_cast<std::uint16_t>(record.other.size()));
  return out + record.other;
}

Result<std::string> Mac(const TsigKey& key, std::string_view data) {
  const auto it = std::find_if(kAlgorithms.begin(), kAlgorithms.end(),
                               [&](const Algorithm& a) { return a.name == key.algorithm; });
  if (it == kAlgorithms.end()) return Settings("unknown TSIG algorithm");
  return Hmac(it->digest, key.secret.Reveal(), data);
}

// Null when the message has no TSIG as its last record.
const DnsRecord* TsigOf(const DnsMessage& message) {
  if (message.additionals.empty()) return nullptr;
  const DnsRecord& last = message.additionals.back();
  return last.type == static_cast<std::uint16_t>(RecordType::kTsig) ? &last : nullptr;
}

Result<TsigRecord> ReadTsig(std::string_view data) {
  TsigRecord record;
  std::size_t at = 0;
  CF_ASSIGN_OR_RETURN(record.algorithm, ReadName(data, at));
  if (data.size() - at < 10) return Untrusted("has a malformed signature");
  record.time = ReadU48(data, at);
  record.fudge = ReadU16(data, at + 6);
  const std::size_t mac = ReadU16(data, at + 8);
  at += 10;
  if (data.size() - at < mac + 6) return Untrusted("has a malformed signature");
  record.mac = data.substr(at, mac);
  at += mac;
  record.original_id = ReadU16(data, at);
  record.error = ReadU16(data, at + 2);
  const std::size_t other = ReadU16(data, at + 4);
  at += 6;
  if (data.size() - at != other) return Untrusted("has a malformed signature");
  record.other = data.substr(at);
  return record;
}

// RFC 8945 section 5.3: the request's MAC, the reply without its signature, and the variables.
Result<void> VerifyMac(const TsigKey& key, const SignedMessage& request, std::string_view reply,
                       const DnsMessage& message, const TsigRecord& record) {
  const DnsRecord* tsig = TsigOf(message);
  if (tsig->name != key.name || record.algorithm != key.algorithm) {
    return Untrusted("is signed with another key");
  }
  // The MAC covers these two as the constants that they must be.
  if (tsig->klass != static_cast<std::uint16_t>(RecordClass::kAny) || tsig->ttl != 0) {
    return Untrusted("has a malformed signature");
  }
  std::string data;
  AppendU16(data, static_cast<std::uint16_t>(request.mac.size()));
  data += request.mac;
  std::string cut(reply.substr(0, tsig->offset));
  std::string head;
  AppendU16(head, record.original_id);
  cut.replace(0, 2, head);
  std::string count;
  AppendU16(count, static_cast<std::uint16_t>(message.additionals.size() - 1));
  cut.replace(10, 2, count);
  data += cut + Variables(key, record);
  CF_ASSIGN_OR_RETURN(const std::string mac, Mac(key, data));
  if (!SecretEquals(mac, record.mac)) return Untrusted("has a wrong signature");
  return {};
}

std::string Skew(const TsigRecord& record, WallTime now) {
  // RFC 8945 section 5.2.3: the other data of BADTIME is the server's time.
  if (record.other.size() != 6) return "the clocks differ too much";
  const auto theirs = static_cast<long long>(ReadU48(record.other, 0));
  const long long skew = static_cast<long long>(UnixSeconds(now)) - theirs;
  return "our clock is " + FormatDuration(std::chrono::seconds(std::llabs(skew))) +
         (skew < 0 ? " behind" : " ahead of") + " the name server's";
}

Error NotAllowed(std::string_view why) {
  return MakeError(ErrorCode::kForbidden, "DnsUpdateForbidden",
                   "the name server does not allow the update: " + std::string(why));
}

// Servers differ in how they say no: a name outside of the policy is REFUSED at BIND and
// NOTAUTH with BADKEY at Knot.
Result<void> JudgeReply(int rcode, const std::optional<TsigRecord>& record, WallTime now) {
  switch (rcode) {
    case kNoError:
      return {};
    case kRefused:
      return NotAllowed("it is refused by policy");
    case kNotAuth:
      break;
    case kNotZone:
      return MakeError(ErrorCode::kInvalid, "DnsWrongZone", "the name is not in the zone");
    default:
      return MakeError(ErrorCode::kUnavailable, "DnsUnavailable",
                       "the name server answered with rcode " + std::to_string(rcode));
  }
  if (!record) return NotAllowed("it is not the zone's server");
  if (record->error == kBadSig) return NotAllowed("the TSIG secret is wrong");
  if (record->error == kBadKey) return NotAllowed("the TSIG key is unknown or may not do this");
  if (record->error == kBadTime) return NotAllowed(Skew(*record, now));
  return NotAllowed("it is not the zone's server");
}

}  // namespace

Result<TsigKey> MakeTsigKey(std::string_view name, std::string_view algorithm,
                            std::string_view secret_base64) {
  TsigKey key;
  CF_ASSIGN_OR_RETURN(key.name, CheckName(name));
  if (algorithm.ends_with('.')) algorithm.remove_suffix(1);
  key.algorithm = algorithm;
  if (std::none_of(kAlgorithms.begin(), kAlgorithms.end(),
                   [&](const Algorithm& a) { return a.name == key.algorithm; })) {
    return Settings("tsigAlgorithm is not hmac-sha256, hmac-sha384 or hmac-sha512");
  }
  Result<SecretBytes> secret = Base64Decode(secret_base64);
  if (!secret.ok() || secret->empty()) return Settings("the TSIG secret is no base64 text");
  key.secret = std::move(secret).value();
  return key;
}

Result<SignedMessage> SignMessage(const TsigKey& key, std::string message, WallTime now) {
  TsigRecord record;
  record.algorithm = key.algorithm;
  record.time = UnixSeconds(now);
  record.fudge = kFudge;
  CF_ASSIGN_OR_RETURN(record.mac, Mac(key, message + Variables(key, record)));
  std::string data = NameToWire(record.algorithm);
  AppendU48(data, record.time);
  AppendU16(data, record.fudge);
  AppendU16(data, static_cast<std::uint16_t>(record.mac.size()));
  data += record.mac;
  AppendU16(data, ReadU16(message, 0));
  AppendU16(data, 0);
  AppendU16(data, 0);
  std::string out = std::move(message);
  out += NameToWire(key.name);
  AppendU16(out, static_cast<std::uint16_t>(RecordType::kTsig));
  AppendU16(out, static_cast<std::uint16_t>(RecordClass::kAny));
  AppendU32(out, 0);
  AppendU16(out, static_cast<std::uint16_t>(data.size()));
  out += data;
  // ARCOUNT counts the signature only after the MAC was made.
  out[11] = static_cast<char>(out[11] + 1);
  return SignedMessage{std::move(out), std::move(record.mac)};
}

Result<void> CheckSignedReply(const TsigKey& key, const SignedMessage& request,
                              std::string_view reply, WallTime now) {
  CF_ASSIGN_OR_RETURN(const DnsMessage message, ParseMessage(reply));
  if (!message.response || message.opcode != static_cast<int>(Opcode::kUpdate) ||
      message.id != ReadU16(request.bytes, 0)) {
    return Untrusted("is not to our request");
  }
  const DnsRecord* tsig = TsigOf(message);
  std::optional<TsigRecord> record;
  if (tsig != nullptr) {
    CF_ASSIGN_OR_RETURN(record, ReadTsig(tsig->data));
  }
  // A refusal may come unsigned (RFC 8945 section 5.2): whoever could forge it could cut the
  // connection as well.
  const bool is_signed = record && !record->mac.empty();
  if (is_signed) {
    CF_RETURN_IF_ERROR(VerifyMac(key, request, reply, message, *record));
    const std::uint64_t ours = UnixSeconds(now);
    const std::uint64_t off = record->time > ours ? record->time - ours : ours - record->time;
    if (message.rcode == kNoError && off > kFudge) return Untrusted("is too old or too new");
  } else if (message.rcode == kNoError) {
    return Untrusted("is not signed");
  }
  return JudgeReply(message.rcode, record, now);
}

}  // namespace certflow::providers::solvers

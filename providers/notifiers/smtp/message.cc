#include "providers/notifiers/smtp/message.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

#include "controller/base/base64.h"

namespace certflow::providers::smtp {
namespace {

constexpr std::size_t kMaxLine = 76;  // RFC 2047 section 2 and RFC 2045 section 6.7
constexpr std::size_t kMaxSubject = 512;
constexpr std::size_t kMaxMessageId = 48;  // a Message-ID cannot be folded
constexpr std::string_view kCut = "\n[The text was too long and ends here.]\n";

bool IsPlain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; }) &&
         text.find("=?") == std::string_view::npos;
}

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// The next piece of UTF-8 of at most `limit` bytes that ends with a whole character.
std::string_view TakePiece(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return text;
  std::size_t end = limit;
  while (end > 0 && IsContinuation(text[end])) --end;
  return text.substr(0, end == 0 ? limit : end);
}

std::string EncodedWords(std::string_view text, std::size_t used) {
  constexpr std::size_t kFrame = sizeof("=?UTF-8?B?") - 1 + sizeof("?=") - 1;
  std::string result;
  while (!text.empty()) {
    const std::size_t room = kMaxLine - std::min(used, kMaxLine / 2) - kFrame;
    const std::string_view piece = TakePiece(text, room / 4 * 3);
    if (!result.empty()) result += "\r\n ";
    result += "=?UTF-8?B?" + Base64Encode(piece) + "?=";
    text.remove_prefix(piece.size());
    used = 1;
  }
  return result;
}

// Plain words, folded at spaces; a word that is too long for a line has to be encoded.
std::string FoldedWords(std::string_view text, std::size_t used) {
  std::string result;
  std::size_t column = used;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' ', 1), text.size());
    const std::string_view word = text.substr(0, end);
    // Never a fold before the first word: a line of nothing but white space is not allowed.
    if (column + word.size() > kMaxLine && !result.empty() && word.front() == ' ' &&
        word.size() > 1) {
      result += "\r\n";
      column = 0;
    }
    result += word;
    column += word.size();
    text.remove_prefix(end);
  }
  return result;
}

bool HasLongWord(std::string_view text) {
  std::size_t length = 0;
  for (const char c : text) {
    length = c == ' ' ? 0 : length + 1;
    if (length > kMaxLine - 20) return true;
  }
  return false;
}

bool IsAddressChar(char c) {
  constexpr std::string_view kAtext = "!#$%&'*+-/=?^_`{|}~.";
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         kAtext.find(c) != std::string_view::npos;
}

bool IsDotString(std::string_view text) {
  return !text.empty() && text.front() != '.' && text.back() != '.' &&
         text.find("..") == std::string_view::npos;
}

bool IsAddress(std::string_view text) {
  const std::size_t at = text.rfind('@');
  if (at == std::string_view::npos || text.size() > 254 || at > 64) return false;
  const std::string_view local = text.substr(0, at), domain = text.substr(at + 1);
  // An address that begins with "-" could be taken for an option by a mailer behind.
  return IsDotString(local) && local.front() != '-' &&
         std::all_of(local.begin(), local.end(), IsAddressChar) && IsDotString(domain) &&
         domain.front() != '-' && std::all_of(domain.begin(), domain.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '.';
         });
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::string DisplayName(const std::string& name, std::size_t used) {
  if (!IsPlain(name) || HasLongWord(name)) return EncodedWords(name, used);
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

void AddMailboxes(std::string& out, const std::string& header,
                  const std::vector<Mailbox>& mailboxes) {
  if (mailboxes.empty()) return;
  out += header + ":";
  bool first = true;
  for (const Mailbox& mailbox : mailboxes) {
    if (!first) out += ",";
    // One to a line, so that no line grows beyond the limit.
    out += first ? " " : "\r\n ";
    first = false;
    if (mailbox.name.empty()) {
      out += mailbox.address;
    } else {
      out += DisplayName(mailbox.name, header.size() + 2) + "\r\n <" + mailbox.address + ">";
    }
  }
  out += "\r\n";
}

// dot-atom of RFC 5322: whatever else is in the id is made readable and unambiguous.
std::string MessageId(const Message& message) {
  std::string left;
  for (const char c : message.id) left += IsAddressChar(c) && c != '.' ? c : '.';
  if (left != message.id || !IsDotString(left) || left.size() > kMaxMessageId) {
    std::string plain;
    for (const char c : left.substr(0, 14)) {
      if (c != '.') plain += c;
    }
    left = plain + (plain.empty() ? "" : ".") + Sha256Hex(message.id).substr(0, 32);
  }
  const std::string& from = message.from.address;
  return "<" + left + "@" + from.substr(from.rfind('@') + 1) + ">";
}

}  // namespace

Result<Mailbox> ParseMailbox(std::string_view text) {
  const auto invalid = [&] {
    return MakeError(ErrorCode::kInvalid, "InvalidAddress",
                     "not a mail address: " + Sanitize(text, 128));
  };
  const bool control = std::any_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (control || text.size() > 512) return invalid();
  Mailbox mailbox;
  const std::string_view trimmed = Trim(text);
  const std::size_t open = trimmed.rfind('<');
  if (open == std::string_view::npos) {
    mailbox.address = trimmed;
  } else {
    if (trimmed.back() != '>') return invalid();
    mailbox.address = trimmed.substr(open + 1, trimmed.size() - open - 2);
    std::string_view name = Trim(trimmed.substr(0, open));
    if (name.size() >= 2 && name.front() == '"' && name.back() == '"') {
      name = name.substr(1, name.size() - 2);
    }
    mailbox.name = Sanitize(name, 256);
  }
  if (!IsAddress(mailbox.address)) return invalid();
  return mailbox;
}

std::string EncodeHeader(std::string_view text, std::size_t used) {
  std::string clean = Sanitize(text, kMaxSubject);
  if (IsPlain(clean) && !HasLongWord(clean)) return FoldedWords(Trim(clean), used);
  return EncodedWords(clean, used);
}

std::string QuotedPrintable(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  std::size_t column = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    if (c == '\n') {
      out += "\r\n";
      column = 0;
      continue;
    }
    const bool ends_line = i + 1 == text.size() || text[i + 1] == '\n' || text[i + 1] == '\r';
    const bool space = c == ' ' || c == '\t';
    const bool plain = (c > 0x20 && c < 0x7f && c != '=') || (space && !ends_line);
    // A dot or "From " at the start of a line is changed by some mailers on the way.
    const bool risky = column == 0 && (c == '.' || c == 'F');
    const std::size_t width = plain && !risky ? 1 : 3;
    if (column + width > kMaxLine - 1) {
      out += "=\r\n";
      column = 0;
    }
    if (width == 1) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {'=', kHex[byte >> 4], kHex[byte & 15]};
    }
    column += width;
  }
  if (!out.ends_with("\r\n")) out += "\r\n";
  return out;
}

std::string FormatMailDate(WallTime time) {
  constexpr std::array kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[64];
  std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d +0000",
                kDays[static_cast<std::size_t>(utc.tm_wday)], utc.tm_mday,
                kMonths[static_cast<std::size_t>(utc.tm_mon)], utc.tm_year + 1900, utc.tm_hour,
                utc.tm_min, utc.tm_sec);
  return text;
}

std::string Compose(const Message& message) {
  std::string out;
  out += "Date: " + FormatMailDate(message.date) + "\r\n";
  AddMailboxes(out, "From", {message.from});
  AddMailboxes(out, "To", message.to);
  AddMailboxes(out, "Cc", message.cc);
  if (message.to.empty() && message.cc.empty()) out += "To: undisclosed-recipients:;\r\n";
  out += "Message-ID: " + MessageId(message) + "\r\n";
  out += "Subject: " + EncodeHeader(message.subject, sizeof("Subject: ") - 1) + "\r\n";
  out +=
      "MIME-Version: 1.0\r\n"
      "Content-Type: text/plain; charset=UTF-8\r\n"
      "Content-Transfer-Encoding: quoted-printable\r\n"
      // RFC 3834: no out-of-office answers, please.
      "Auto-Submitted: auto-generated\r\n"
      "\r\n";
  if (message.body.size() <= kMaxBodyBytes) return out + QuotedPrintable(message.body);
  std::string body(TakePiece(message.body, kMaxBodyBytes));
  return out + QuotedPrintable(body += kCut);
}

}  // namespace certflow::providers::smtp

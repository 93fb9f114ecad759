#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "controller/base/clock.h"
#include "controller/base/result.h"
#include "controller/seams/notifier.h"

namespace certflow::providers::smtp {

// "Name <local@domain>" or "local@domain".
struct Mailbox {
  std::string name;     // as it is to be shown, UTF-8; may be empty
  std::string address;  // RFC 5321 without quoting and comments
};
// kInvalid quotes what cannot be read. Control characters, spaces in the address, and anything that
// could end a header or an SMTP command are refused.
Result<Mailbox> ParseMailbox(std::string_view text);

inline constexpr std::size_t kMaxRecipients = 100;
inline constexpr std::size_t kMaxBodyBytes = 256u << 10;

struct Message {
  Mailbox from;
  std::vector<Mailbox> to;
  std::vector<Mailbox> cc;
  std::string id;       // made into the Message-ID, together with the sender's domain
  std::string subject;  // UTF-8
  std::string body;     // UTF-8 text
  WallTime date;
};

// RFC 5322 with CRLF, no line above 76 characters in headers and body: encoded-words (RFC 2047) for
// what is not ASCII, the body as text/plain in quoted-printable (RFC 2045). Control characters of
// the subject become spaces; invalid UTF-8 becomes '?'; a longer body is cut and says so.
std::string Compose(const Message& message);

// One unstructured header value, folded; `used` is the length of what stands before it.
std::string EncodeHeader(std::string_view text, std::size_t used);
std::string QuotedPrintable(std::string_view text);
// "Sat, 21 Nov 2026 03:30:00 +0000", whatever the locale.
std::string FormatMailDate(WallTime time);

}  // namespace certflow::providers::smtp

#include "providers/http/template.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "controller/base/base64.h"
#include "controller/net/http_client.h"

namespace certflow::providers::http {
namespace {

constexpr std::string_view kFilter = "base64";
constexpr std::size_t kMaxNameBytes = 128;

Error Invalid(std::string_view why) {
  return MakeError(ErrorCode::kInvalid, "TemplateInvalid", why);
}

std::string_view Trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}

// Text that has no `{{` outside a string, because nothing but a name may follow a `{` there: what
// is put into a string of it stays in that string.
Result<void> CheckJson(std::string_view text) {
  if (nlohmann::json::accept(text.begin(), text.end())) return {};
  return Invalid(
      "the JSON text is not one: write the templates inside its strings, as in {\"id\": \"{{ .id "
      "}}\"}");
}

void AppendJson(std::string_view value, std::string& out) {
  for (const char c : value) {
    switch (c) {
      case '"':
      case '\\':
        out += '\\';
        out += c;
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        // Other control characters are refused before.
        out += c;
    }
  }
}

void AppendXml(std::string_view value, std::string& out) {
  for (const char c : value) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&apos;";
        break;
      default:
        out += c;
    }
  }
}

bool IsControl(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7F;
}

bool HasControl(std::string_view value) {
  return std::any_of(value.begin(), value.end(),
                     [](char c) { return IsControl(c) && c != '\n' && c != '\r' && c != '\t'; });
}

bool IsPrintable(std::string_view value) {
  return std::all_of(value.begin(), value.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
}

// What may stand in a URL or header as it is written.
bool IsPlain(std::string_view text, Place place) {
  return IsPrintable(text) && (place != Place::kUrl || text.find(' ') == std::string_view::npos);
}

// The percent-encoded path, without the query, climbs nowhere.
Result<void> CheckPath(std::string_view url) {
  std::string_view path = url.substr(0, url.find('?'));
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view segment = path.substr(0, path.find('/'));
    if (segment == "." || segment == "..") return Invalid("a path may not hold . or ..");
    path.remove_prefix(segment.size());
  }
  return {};
}

}  // namespace

Result<Template> Template::Parse(std::string_view text, Place place) {
  if (text.size() > kMaxTemplateBytes) return Invalid("the template is longer than 16384 bytes");
  Template out;
  out.place_ = place;
  if (place == Place::kJson) CF_RETURN_IF_ERROR(CheckJson(text));
  if (place == Place::kXml && text.find("<!") != std::string_view::npos) {
    return Invalid("an XML text may not hold comments, CDATA or a DOCTYPE");
  }
  while (!text.empty()) {
    const std::size_t open = std::min(text.find("{{"), text.size());
    if (open > 0) out.pieces_.push_back({std::string(text.substr(0, open)), false, false});
    text.remove_prefix(open);
    if (text.empty()) break;
    const std::size_t close = text.find("}}");
    if (close == std::string_view::npos) return Invalid("a \"{{\" is not closed");
    std::string_view inner = text.substr(2, close - 2);
    text.remove_prefix(close + 2);
    Piece piece;
    piece.field = true;
    if (const std::size_t bar = inner.find('|'); bar != std::string_view::npos) {
      if (Trim(inner.substr(bar + 1)) != kFilter) {
        return Invalid("there is no filter but base64: {{ .certificate.chain | base64 }}");
      }
      piece.base64 = true;
      inner = inner.substr(0, bar);
    }
    const std::string_view name = Trim(inner);
    if (!name.starts_with('.') || !IsName(name.substr(1))) {
      return Invalid("\"" + Sanitize(name, 64) +
                     "\" is not a field; fields are written as {{ .name }}");
    }
    piece.text = name.substr(1);
    out.pieces_.push_back(std::move(piece));
  }
  const bool in_body = place != Place::kUrl && place != Place::kHeader;
  for (const Piece& piece : out.pieces_) {
    if (in_body || piece.field || IsPlain(piece.text, place)) continue;
    return Invalid(
        "a URL or header may hold printable ASCII only, and a URL no space: write it "
        "percent-encoded, or put it into a field");
  }
  if (!in_body && out.Names(kKeyField)) {
    return Invalid("the private key goes into a body only, never into a URL or a header");
  }
  return out;
}

Template Template::Literal(std::string text) {
  Template out;
  out.pieces_.push_back({std::move(text), false, false});
  return out;
}

std::vector<std::string> Template::names() const {
  std::vector<std::string> out;
  for (const Piece& piece : pieces_) {
    if (piece.field) out.push_back(piece.text);
  }
  return out;
}

bool Template::Names(std::string_view field) const {
  return std::any_of(pieces_.begin(), pieces_.end(),
                     [&](const Piece& piece) { return piece.field && piece.text == field; });
}

Result<void> Template::Add(const Piece& piece, const Values& values, std::string& out) const {
  const std::string what = "{{ ." + piece.text + " }}";
  std::string_view value;
  if (piece.text == kKeyField) {
    if (values.key == nullptr) return Invalid(what + " is there while staging only");
    value = values.key->Reveal();
  } else {
    const auto found = values.fields.find(piece.text);
    if (found == values.fields.end()) {
      return Invalid(piece.text.starts_with("parameters.")
                         ? what + " is not set: add it to http.parameters of the workflow's target"
                         : "there is no field " + what + " here");
    }
    value = found->second;
  }
  SecretBytes encoded;
  if (piece.base64) {
    encoded = SecretBytes::Take(Base64Encode(value));
    value = encoded.Reveal();
  }
  if (HasControl(value)) return Invalid(what + " holds control characters");
  switch (place_) {
    case Place::kUrl:
      if (value.empty() && out.find('?') == std::string::npos) {
        return Invalid(what + " is empty, and would name another path");
      }
      out += net::UrlEncode(value);
      return {};
    case Place::kHeader:
      if (!IsPrintable(value)) return Invalid(what + " cannot stand in a header");
      out += value;
      return {};
    case Place::kJson:
      AppendJson(value, out);
      return {};
    case Place::kForm: {
      SecretBytes form = SecretBytes::Take(net::UrlEncode(value));
      out += form.Reveal();
      return {};
    }
    case Place::kXml:
      AppendXml(value, out);
      return {};
    case Place::kPlain:
      if (value.find_first_of("\"'<>{}[]&;\\`$") != std::string_view::npos) {
        return Invalid(what + " holds a character that cannot stand in plain text");
      }
      out += value;
      return {};
  }
  return {};
}

Result<SecretBytes> Template::Render(const Values& values) const {
  // One buffer from the start: a growing one would leave pieces of a key behind.
  std::size_t most = 64;
  for (const Piece& piece : pieces_) {
    const auto found = values.fields.find(piece.text);
    const std::size_t value =
        piece.field && found != values.fields.end() ? found->second.size() : 0;
    const bool key = piece.text == kKeyField && values.key != nullptr;
    most += piece.text.size() + 8 * (value + (key ? values.key->size() : 0)) + 8;
  }
  std::string out;
  out.reserve(most);
  for (const Piece& piece : pieces_) {
    Result<void> added;
    if (piece.field) {
      added = Add(piece, values, out);
    } else {
      out += piece.text;
    }
    if (!added.ok()) {
      WipeString(out);
      return std::move(added).error();
    }
  }
  if (place_ == Place::kUrl) CF_RETURN_IF_ERROR(CheckPath(out));
  return SecretBytes::Take(std::move(out));
}

}  // namespace certflow::providers::http

#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/result.h"
#include "controller/base/secret.h"

// The templates of requests: text with {{ .name }} or {{ .name | base64 }} in it. There is nothing
// else in the language, so every template ends, and what a value may become is decided by where it
// stands and not by who wrote it. Pure: no input or output.
namespace certflow::providers::http {

inline constexpr std::size_t kMaxTemplateBytes = 16u << 10;

enum class Place {
  kUrl,     // path and query: percent-encoded, never empty and never "." or ".." in the path
  kHeader,  // printable ASCII, or refused
  kJson,    // inside a string of a JSON text, escaped
  kForm,    // application/x-www-form-urlencoded
  kXml,     // text or attribute, escaped
  kPlain,   // as it is; a value with quotes, brackets or control characters is refused
};

// The private key's name. It is rendered into bodies only.
inline constexpr std::string_view kKeyField = "certificate.key";

struct Values {
  std::map<std::string, std::string> fields;
  const SecretBytes* key = nullptr;  // what kKeyField stands for, where it may be used
};

class Template {
 public:
  Template() = default;
  // kInvalid, "TemplateInvalid", saying what is wrong: a brace that is not closed, a filter that
  // there is not, the key in a URL or header, a JSON text that would not be one.
  static Result<Template> Parse(std::string_view text, Place place);

  // kInvalid, "TemplateInvalid", naming the field that there is not, or whose value cannot stand
  // here. The value itself is not told.
  Result<SecretBytes> Render(const Values& values) const;

  // A text that is sent as it is.
  static Template Literal(std::string text);

  // The fields that it names, each as often as it does.
  std::vector<std::string> names() const;
  bool Names(std::string_view field) const;
  bool empty() const { return pieces_.empty(); }

 private:
  struct Piece {
    std::string text;  // literal, or a field's name
    bool field = false;
    bool base64 = false;
  };
  Result<void> Add(const Piece& piece, const Values& values, std::string& out) const;

  Place place_ = Place::kPlain;
  std::vector<Piece> pieces_;
};

}  // namespace certflow::providers::http

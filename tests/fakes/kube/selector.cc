#include "tests/fakes/kube/selector.h"

#include <algorithm>

namespace certflow::fakes {
namespace {

using nlohmann::json;

std::string Trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(' ') - first + 1));
}

// At commas outside parentheses.
std::vector<std::string> Split(std::string_view text) {
  std::vector<std::string> parts;
  int depth = 0;
  std::string part;
  for (const char c : text) {
    depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    if (c == ',' && depth == 0) {
      parts.push_back(Trim(part));
      part.clear();
    } else {
      part += c;
    }
  }
  if (!Trim(part).empty()) parts.push_back(Trim(part));
  return parts;
}

// The scalar at a dotted path as text; fields that are absent read as empty.
std::optional<std::string> Field(const json& object, std::string_view path) {
  const json* node = &object;
  while (!path.empty()) {
    const std::size_t dot = path.find('.');
    if (!node->is_object()) return "";
    const auto next = node->find(std::string(path.substr(0, dot)));
    if (next == node->end()) return "";
    node = &*next;
    path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
  }
  return node->is_string() ? node->get<std::string>() : node->dump();
}

std::optional<std::string> Label(const json& object, const std::string& key) {
  const auto metadata = object.find("metadata");
  if (metadata == object.end()) return std::nullopt;
  const auto labels = metadata->find("labels");
  if (labels == metadata->end() || !labels->is_object()) return std::nullopt;
  const auto it = labels->find(key);
  if (it == labels->end() || !it->is_string()) return std::nullopt;
  return it->get<std::string>();
}

}  // namespace

std::optional<Selector> Selector::Parse(std::string_view labels, std::string_view fields) {
  Selector selector;
  for (const bool field : {false, true}) {
    for (std::string& part : Split(field ? fields : labels)) {
      auto term = ParseTerm(std::move(part), field);
      if (!term) return std::nullopt;
      selector.terms_.push_back(std::move(*term));
    }
  }
  return selector;
}

std::optional<Selector::Term> Selector::ParseTerm(std::string text, bool field) {
  Term term;
  term.field = field;
  const std::size_t open = text.find('(');
  if (open != std::string::npos && text.ends_with(')')) {
    std::string head = Trim(text.substr(0, open));
    term.kind = head.ends_with(" notin") ? Kind::kNotIn : Kind::kIn;
    if (!head.ends_with(" in") && !head.ends_with(" notin")) return std::nullopt;
    term.key = Trim(head.substr(0, head.rfind(' ')));
    term.values = Split(text.substr(open + 1, text.size() - open - 2));
    return term;
  }
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos) {
    if (field || text.empty()) return std::nullopt;
    term.kind = text[0] == '!' ? Kind::kMissing : Kind::kExists;
    term.key = Trim(text.substr(text[0] == '!' ? 1 : 0));
    return term;
  }
  const bool negative = equals > 0 && text[equals - 1] == '!';
  term.kind = negative ? Kind::kNotIn : Kind::kIn;
  term.key = Trim(text.substr(0, negative ? equals - 1 : equals));
  const bool twice = equals + 1 < text.size() && text[equals + 1] == '=';
  term.values = {Trim(text.substr(equals + (twice ? 2 : 1)))};
  return term;
}

bool Selector::Holds(const Term& term, const json& object) {
  const auto value = term.field ? Field(object, term.key) : Label(object, term.key);
  const bool in =
      value && std::find(term.values.begin(), term.values.end(), *value) != term.values.end();
  switch (term.kind) {
    case Kind::kIn:
      return in;
    case Kind::kNotIn:
      return !in;
    case Kind::kExists:
      return value.has_value();
    case Kind::kMissing:
      return !value.has_value();
  }
  return false;
}

bool Selector::Matches(const json& object) const {
  return std::all_of(terms_.begin(), terms_.end(),
                     [&](const Term& term) { return Holds(term, object); });
}

}  // namespace certflow::fakes

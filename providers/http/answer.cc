#include "providers/http/answer.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <pugixml.hpp>

namespace certflow::providers::http {

using nlohmann::json;

struct Answer::Node {
  json value;
  bool xml = false;
};

namespace {

constexpr int kMaxDepth = 64;
constexpr const char* kText = "#text";

Error Unreadable(std::string_view why) {
  return MakeError(ErrorCode::kInvalid, "AnswerUnreadable",
                   "the answer cannot be read: " + std::string(why));
}

// Brackets outside strings; the parser itself knows no limit.
bool TooDeep(std::string_view text) {
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i) {
        if (text[i] == '\\') ++i;
      }
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

// An element is its text, or an object of arrays, one for each name of its children, so that one
// child and many are reached alike.
Result<json> FromXml(const pugi::xml_node& element, int depth) {
  if (depth > kMaxDepth) return Unreadable("it is nested too deep");
  json object = json::object();
  for (const pugi::xml_attribute& attribute : element.attributes()) {
    object[std::string("@") + attribute.name()] = attribute.value();
  }
  std::string text;
  for (const pugi::xml_node& child : element.children()) {
    if (child.type() == pugi::node_pcdata || child.type() == pugi::node_cdata) {
      text += child.value();
    } else if (child.type() == pugi::node_element) {
      CF_ASSIGN_OR_RETURN(json inner, FromXml(child, depth + 1));
      object[child.name()].push_back(std::move(inner));
    }
  }
  if (object.empty()) return json(std::move(text));
  if (!text.empty()) object[kText] = std::move(text);
  return object;
}

Result<json> ParseXml(std::string_view body) {
  pugi::xml_document document;
  const pugi::xml_parse_result parsed = document.load_buffer(body.data(), body.size());
  if (!parsed) return Unreadable(std::string("as XML: ") + parsed.description());
  const pugi::xml_node element = document.document_element();
  CF_ASSIGN_OR_RETURN(json inner, FromXml(element, 0));
  json root = json::object();
  root[element.name()].push_back(std::move(inner));
  return root;
}

std::optional<std::size_t> IndexOf(std::string_view token) {
  if (token.empty() || (token.size() > 1 && token.front() == '0')) return std::nullopt;
  std::size_t index = 0;
  const auto read = std::from_chars(token.data(), token.data() + token.size(), index);
  if (read.ec != std::errc() || read.ptr != token.data() + token.size()) return std::nullopt;
  return index;
}

const json* Member(const json& object, const std::string& name) {
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

bool Holds(const json& element, const std::string& member, std::string_view value) {
  if (!element.is_object()) return false;
  const json* found = Member(element, member);
  if (found != nullptr && found->is_array() && !found->empty()) found = &found->front();  // XML
  return found != nullptr && found->is_string() && found->get_ref<const std::string&>() == value;
}

const json* InArray(const json& array, const std::string& token) {
  if (const auto index = IndexOf(token)) {
    return *index < array.size() ? &array[*index] : nullptr;
  }
  const std::size_t equals = token.find('=');
  if (equals == std::string::npos) return nullptr;
  const std::string member = token.substr(0, equals);
  const std::string_view value = std::string_view(token).substr(equals + 1);
  const auto found = std::find_if(array.begin(), array.end(), [&](const json& element) {
    return Holds(element, member, value);
  });
  return found == array.end() ? nullptr : &*found;
}

const json* Follow(const json* at, const std::vector<std::string>& tokens, bool xml) {
  for (const std::string& token : tokens) {
    if (at == nullptr) return nullptr;
    if (at->is_array()) {
      const json* element = InArray(*at, token);
      if (element != nullptr || !xml || at->empty() || !at->front().is_object()) {
        at = element;
        continue;
      }
      at = &at->front();
    }
    at = at->is_object() ? Member(*at, token) : nullptr;
  }
  return at;
}

std::string Unescape(std::string_view token, bool& good) {
  std::string out;
  for (std::size_t i = 0; i < token.size(); ++i) {
    if (token[i] != '~') {
      out += token[i];
      continue;
    }
    ++i;
    good = good && i < token.size() && (token[i] == '0' || token[i] == '1');
    if (good) out += token[i] == '0' ? '~' : '/';
  }
  return out;
}

}  // namespace

Result<Pointer> Pointer::Parse(std::string_view text) {
  Pointer pointer;
  pointer.text_ = text;
  const auto invalid = [&](std::string_view why) {
    return MakeError(ErrorCode::kInvalid, "PointerInvalid",
                     "\"" + Sanitize(text, 128) + "\" is not a JSON pointer: " + std::string(why));
  };
  if (!text.empty() && text.front() != '/') {
    return invalid("it begins with \"/\", such as /result/0/id");
  }
  while (!text.empty()) {
    text.remove_prefix(1);
    const std::size_t end = std::min(text.find('/'), text.size());
    bool good = true;
    pointer.tokens_.push_back(Unescape(text.substr(0, end), good));
    if (!good) return invalid("\"~\" is written as ~0, and \"/\" in a name as ~1");
    text.remove_prefix(end);
  }
  if (pointer.tokens_.size() > kMaxPointerTokens) return invalid("it has more than 16 parts");
  return pointer;
}

Result<Answer> Answer::Parse(std::string_view body) {
  if (body.size() > kMaxAnswerBytes) return Unreadable("it is too large");
  auto node = std::make_shared<Node>();
  const std::size_t first = body.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && body[first] == '<') {
    CF_ASSIGN_OR_RETURN(node->value, ParseXml(body));
    node->xml = true;
  } else if (first != std::string_view::npos) {
    if (TooDeep(body)) return Unreadable("it is nested too deep");
    node->value = json::parse(body.begin(), body.end(), nullptr, /*allow_exceptions=*/false);
    if (node->value.is_discarded()) return Unreadable("it is neither JSON nor XML");
  }
  const void* at = &node->value;
  return Answer(std::move(node), at);
}

std::optional<std::string> Answer::Text(const Pointer& pointer) const {
  const json* found = Follow(static_cast<const json*>(at_), pointer.tokens(), root_->xml);
  if (found != nullptr && root_->xml) {
    if (found->is_array() && !found->empty()) found = &found->front();
    if (found->is_object() && found->contains(kText)) found = Member(*found, kText);
  }
  if (found == nullptr || found->is_null()) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  return found->dump(-1, ' ', false, json::error_handler_t::replace);
}

std::vector<Answer> Answer::List(const Pointer& pointer) const {
  std::vector<Answer> out;
  const json* found = Follow(static_cast<const json*>(at_), pointer.tokens(), root_->xml);
  if (found == nullptr || !found->is_array()) return out;
  for (const json& element : *found) out.push_back(Answer(root_, &element));
  return out;
}

}  // namespace certflow::providers::http

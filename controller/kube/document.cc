#include "controller/base/secret.h"
#include "controller/kube/document_json.h"

namespace certflow::kube {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxDocumentBytes = 64u << 20;  // a whole page of a list
constexpr int kMaxDepth = 128;  // the parser's memory and our recursion grow with it

// The parser itself knows no limit. Brackets inside strings are skipped.
bool TooDeep(std::string_view text) {
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    switch (text[i]) {
      case '"':
        for (++i; i < text.size() && text[i] != '"'; ++i) {
          if (text[i] == '\\') ++i;
        }
        break;
      case '{':
      case '[':
        if (++depth > kMaxDepth) return true;
        break;
      case '}':
      case ']':
        --depth;
        break;
      default:
        break;
    }
  }
  return false;
}

std::string MetadataText(const json& document, const char* field) {
  const auto metadata = document.find("metadata");
  if (metadata == document.end() || !metadata->is_object()) return "";
  const auto value = metadata->find(field);
  if (value == metadata->end() || !value->is_string()) return "";
  return value->get<std::string>();
}

void WipeStrings(json& value) {
  if (value.is_string()) {
    WipeString(value.get_ref<std::string&>());
  } else if (value.is_structured()) {
    for (json& child : value) WipeStrings(child);
  }
}

// What a Secret carries does not stay in freed memory.
void WipeSecret(json& document) {
  if (!document.is_object()) return;
  const auto kind = document.find("kind");
  if (kind == document.end() || *kind != "Secret") return;
  for (const char* field : {"data", "stringData"}) {
    const auto it = document.find(field);
    if (it != document.end()) WipeStrings(*it);
  }
}

}  // namespace

Document::Document() : impl_(std::make_unique<Impl>(Impl{json::object()})) {}
Document::Document(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(Document&& other) noexcept {
  impl_.swap(other.impl_);
  return *this;
}
Document::~Document() {
  if (impl_) WipeSecret(impl_->json);
}

std::string Document::name() const { return MetadataText(impl_->json, "name"); }
std::string Document::ns() const { return MetadataText(impl_->json, "namespace"); }
std::string Document::uid() const { return MetadataText(impl_->json, "uid"); }
std::string Document::resource_version() const {
  return MetadataText(impl_->json, "resourceVersion");
}

Document MakeDocument(json value) {
  return Document(std::make_unique<Document::Impl>(Document::Impl{std::move(value)}));
}

Result<Document> ParseDocument(std::string_view text) {
  if (text.size() > kMaxDocumentBytes || TooDeep(text)) {
    return MakeError(ErrorCode::kInvalid, "DocumentTooLarge", "JSON is too large or too deep");
  }
  json value = json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!value.is_object()) {
    return MakeError(ErrorCode::kInvalid, "InvalidJson", "not a JSON object");
  }
  return MakeDocument(std::move(value));
}

std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace certflow::kube

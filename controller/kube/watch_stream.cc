#include "controller/kube/watch_stream.h"

#include "controller/kube/answer.h"
#include "controller/kube/document_json.h"

namespace certflow::kube {
namespace {

using nlohmann::json;

Error Broken(std::string_view message) {
  return MakeError(ErrorCode::kUnavailable, "BrokenStream", message);
}

Error TooLong() {
  return MakeError(ErrorCode::kUnavailable, "WatchLineTooLong", "a watch event is above 8 MiB");
}

bool EndsInitialEvents(const json& object) {
  const auto metadata = object.find("metadata");
  if (metadata == object.end() || !metadata->is_object()) return false;
  const auto annotations = metadata->find("annotations");
  if (annotations == metadata->end() || !annotations->is_object()) return false;
  const auto mark = annotations->find("k8s.io/initial-events-end");
  return mark != annotations->end() && *mark == "true";
}

// Behind the string that begins at `at`; the text's size where it does not end.
std::size_t AfterString(std::string_view text, std::size_t at) {
  for (++at; at < text.size(); ++at) {
    if (text[at] == '"') return at + 1;
    if (text[at] == '\\') ++at;
  }
  return text.size();
}

// Behind the list or object that begins at `at`; the text's size where it does not end.
std::size_t AfterValue(std::string_view text, std::size_t at) {
  int depth = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"') {
      at = AfterString(text, at);
      continue;
    }
    ++at;
    if (c == '[' || c == '{') ++depth;
    if ((c == ']' || c == '}') && --depth == 0) return at;
  }
  return text.size();
}

}  // namespace

// Depth 2 has the members of the event's object, depth 3 those of its metadata. The API server
// writes no white space.
std::string WithoutManagedFields(std::string_view line) {
  constexpr std::string_view kMetadata = R"("metadata":)";
  constexpr std::string_view kMember = R"("managedFields":[)";
  int depth = 0;
  bool in_metadata = false;
  for (std::size_t at = 0; at < line.size();) {
    const char c = line[at];
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    if (c != '"') {
      ++at;
      continue;
    }
    const std::string_view rest = line.substr(at);
    if (depth == 2) in_metadata = rest.starts_with(kMetadata);
    if (depth != 3 || !in_metadata || !rest.starts_with(kMember)) {
      at = AfterString(line, at);
      continue;
    }
    std::size_t end = AfterValue(line, at + kMember.size() - 1);
    std::size_t begin = at;
    if (end < line.size() && line[end] == ',') {
      ++end;
    } else if (line[begin - 1] == ',') {
      --begin;
    }
    return std::string(line.substr(0, begin)).append(line.substr(end));
  }
  return std::string(line);
}

Result<void> LineSplitter::Feed(std::string_view chunk, const Line& line) {
  while (!chunk.empty()) {
    const std::size_t end = chunk.find('\n');
    const std::string_view part = chunk.substr(0, end);
    if (rest_.size() + part.size() > kMaxLineBytes) return TooLong();
    if (end == std::string_view::npos) {
      rest_.append(part);
      return {};
    }
    chunk.remove_prefix(end + 1);
    if (rest_.empty()) {
      if (!part.empty()) CF_RETURN_IF_ERROR(line(part));
      continue;
    }
    rest_.append(part);
    const std::string whole = std::exchange(rest_, {});
    CF_RETURN_IF_ERROR(line(whole));
  }
  return {};
}

Result<WatchEvent> DecodeWatchLine(std::string_view line) {
  auto parsed = ParseDocument(WithoutManagedFields(line));
  if (!parsed.ok()) return Broken("a watch event is not JSON");
  json& event = parsed->impl().json;
  const auto type = event.find("type");
  const auto object = event.find("object");
  if (type == event.end() || !type->is_string() || object == event.end() || !object->is_object()) {
    return Broken("a watch event lacks type or object");
  }
  const std::string& name = type->get_ref<const std::string&>();
  if (name == "ERROR") return StatusError(*object);
  WatchEvent result{WatchEventType::kBookmark, {}};
  if (name == "ADDED") {
    result.type = WatchEventType::kAdded;
  } else if (name == "MODIFIED") {
    result.type = WatchEventType::kModified;
  } else if (name == "DELETED") {
    result.type = WatchEventType::kDeleted;
  } else if (name == "BOOKMARK") {
    result.initial_events_end = EndsInitialEvents(*object);
  } else {
    return Broken("a watch event has an unknown type");
  }
  result.object = MakeDocument(std::move(*object));
  return result;
}

}  // namespace certflow::kube

#include "controller/kube/url.h"

#include <algorithm>

#include "controller/net/http_client.h"

namespace certflow::kube {
namespace {

constexpr std::size_t kMaxNameBytes = 253;

bool IsPlain(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
}

// Appends "/segment". A name from a reference field that walks up the path is an attack.
Result<void> AddSegment(std::string& path, std::string_view segment, const char* what) {
  const bool control = std::any_of(segment.begin(), segment.end(), [](unsigned char c) {
    return c < 0x20 || c == 0x7f || c == '/' || c == '%';
  });
  if (segment.empty() || segment.size() > kMaxNameBytes || segment == "." || segment == ".." ||
      control) {
    return MakeError(ErrorCode::kInvalid, "InvalidName",
                     std::string(what) + " \"" + Sanitize(segment, 100) + "\" is not a valid name");
  }
  path += '/';
  if (std::all_of(segment.begin(), segment.end(), IsPlain)) {
    path += segment;
  } else {
    path += net::UrlEncode(segment);
  }
  return {};
}

}  // namespace

Result<std::string> CollectionPath(const Resource& resource, std::string_view ns) {
  std::string path;
  path.reserve(160);
  if (resource.group.empty()) {
    path = "/api";
  } else {
    path = "/apis";
    CF_RETURN_IF_ERROR(AddSegment(path, resource.group, "group"));
  }
  CF_RETURN_IF_ERROR(AddSegment(path, resource.version, "version"));
  if (resource.namespaced && !ns.empty()) {
    path += "/namespaces";
    CF_RETURN_IF_ERROR(AddSegment(path, ns, "namespace"));
  }
  CF_RETURN_IF_ERROR(AddSegment(path, resource.plural, "resource"));
  return path;
}

Result<std::string> ObjectPath(const Resource& resource, const ObjectKey& key,
                               std::string_view subresource) {
  if (resource.namespaced && key.ns.empty()) {
    return MakeError(ErrorCode::kInvalid, "InvalidName", "a namespace is missing");
  }
  CF_ASSIGN_OR_RETURN(std::string path, CollectionPath(resource, key.ns));
  CF_RETURN_IF_ERROR(AddSegment(path, key.name, "name"));
  if (!subresource.empty()) CF_RETURN_IF_ERROR(AddSegment(path, subresource, "subresource"));
  return path;
}

Query& Query::Add(std::string_view name, std::string_view value) {
  if (value.empty()) return *this;
  text_ += text_.empty() ? '?' : '&';
  text_ += name;
  text_ += '=';
  text_ += net::UrlEncode(value);
  return *this;
}

}  // namespace certflow::kube

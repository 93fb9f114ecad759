#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace certflow::kube {

// One served resource: how its URLs are built.
struct Resource {
  std::string group;  // empty: core
  std::string version;
  std::string plural;
  std::string kind;
  bool namespaced = true;

  std::string ApiVersion() const { return group.empty() ? version : group + "/" + version; }
};

// A parsed JSON document of the API, opaque to all but codecs (document_json.h).
class Document {
 public:
  struct Impl;
  Document();
  explicit Document(std::unique_ptr<Impl> impl);
  Document(Document&&) noexcept;
  Document& operator=(Document&&) noexcept;
  ~Document();

  const Impl& impl() const { return *impl_; }
  Impl& impl() { return *impl_; }

  // Of metadata; empty when absent.
  std::string name() const;
  std::string ns() const;
  std::string uid() const;
  std::string resource_version() const;

 private:
  std::unique_ptr<Impl> impl_;
};

struct ObjectKey {
  std::string ns;  // empty for cluster-scoped ones
  std::string name;
  std::string ToString() const { return ns.empty() ? name : ns + "/" + name; }
  friend auto operator<=>(const ObjectKey&, const ObjectKey&) = default;
};

enum class Propagation { kBackground, kForeground, kOrphan };

struct DeleteOptions {
  std::string uid;               // always given: a precondition
  std::string resource_version;  // empty: none
  Propagation propagation = Propagation::kBackground;
};

struct ListOptions {
  std::string ns;  // empty: all namespaces
  std::string label_selector;
  std::string field_selector;
  bool metadata_only = false;
};

struct ListPage {
  std::vector<Document> items;
  std::string resource_version;
  std::string continue_token;
};

}  // namespace certflow::kube

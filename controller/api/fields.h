#pragma once

// For the codecs of this folder only (.cc files): typed reading of JSON fields that names the field
// when something is not of the expected shape, and writing that leaves empty things out.

#include <array>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/api/workflow.h"
#include "controller/base/result.h"

namespace certflow::api {

using Json = nlohmann::json;

// Reads the members of one object. The first fault is kept; later reads return defaults. Check
// error() at the end.
class Fields {
 public:
  Fields(const Json* object, std::string path, std::optional<Error>* fault)
      : object_(object), path_(std::move(path)), fault_(fault) {
    if (object_ != nullptr && !object_->is_object()) {
      if (!object_->is_null()) Fail("", "an object");
      object_ = nullptr;
    }
  }

  bool has(const char* key) const { return Find(key) != nullptr; }
  bool present() const { return object_ != nullptr; }
  std::string String(const char* key, std::string_view otherwise = "") const;
  bool Bool(const char* key, bool otherwise) const;
  std::int64_t Int(const char* key, std::int64_t otherwise) const;
  std::optional<WallTime> Time(const char* key) const;
  std::optional<std::chrono::seconds> Seconds(const char* key) const;
  std::vector<std::string> Strings(const char* key) const;
  std::map<std::string, std::string> StringMap(const char* key) const;
  Fields Object(const char* key) const { return Fields(Find(key), Path(key), fault_); }
  // Calls `each` for every element, itself read as an object.
  void Each(const char* key, const std::function<void(const Fields&)>& each) const;
  std::string Text(const char* key) const;  // the member as canonical JSON, or empty
  const Json* raw() const { return object_; }
  std::string path() const { return path_; }
  void Fail(const char* key, std::string_view expected) const;

 private:
  const Json* Find(const char* key) const;
  std::string Path(const char* key) const {
    return *key == 0 ? path_ : path_.empty() ? key : path_ + "." + key;
  }

  const Json* object_;
  std::string path_;
  std::optional<Error>* fault_;
};

// The words of the API for the values of an enumeration.
template <typename E, std::size_t N>
using Names = std::array<std::pair<E, std::string_view>, N>;

template <typename E, std::size_t N>
constexpr std::string_view NameOf(const Names<E, N>& names, E value) {
  for (const auto& [candidate, name] : names) {
    if (candidate == value) return name;
  }
  return "";
}

// `otherwise` where the member is absent.
template <typename E, std::size_t N>
E ValueOf(const Names<E, N>& names, const Fields& fields, const char* key, E otherwise) {
  std::string text = fields.String(key);
  if (text.empty()) return otherwise;
  for (const auto& [value, name] : names) {
    if (name == text) return value;
  }
  fields.Fail(key, "one of the values that this version of certflow knows");
  return otherwise;
}

Reference ReadReference(const Fields& fields, std::string_view ns);
LabelSelector ReadSelector(const Fields& fields);
ObjectMeta ReadMeta(const Json& document);
std::vector<Condition> ReadConditions(const Fields& status);
CertificateStatus ReadCertificate(const Fields& fields);

void Put(Json& object, const char* key, const std::string& value);
void Put(Json& object, const char* key, const std::optional<WallTime>& value);
void Put(Json& object, const char* key, const std::vector<std::string>& value);
Json WriteConditions(const std::vector<Condition>& conditions);
Json WriteCertificate(const CertificateStatus& certificate);
// metadata and apiVersion for a PUT of /status.
Json StatusEnvelope(const ObjectMeta& meta, const kube::Resource& resource);
std::string Text(const Json& json);  // compact, sorted; what is not UTF-8 replaced

}  // namespace certflow::api

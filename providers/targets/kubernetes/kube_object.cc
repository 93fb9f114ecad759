#include "providers/targets/kubernetes/kube_object.h"

#include "controller/base/error.h"

namespace certflow::providers::kubernetes {
namespace {

const nlohmann::json* Find(const nlohmann::json& from, std::string_view key) {
  if (!from.is_object()) return nullptr;
  const auto found = from.find(key);
  return found == from.end() ? nullptr : &*found;
}

}  // namespace

nlohmann::json ObjectAt(const nlohmann::json& from, std::string_view key) {
  const nlohmann::json* found = Find(from, key);
  return found != nullptr && found->is_object() ? *found : nlohmann::json::object();
}

nlohmann::json ListAt(const nlohmann::json& from, std::string_view key) {
  const nlohmann::json* found = Find(from, key);
  return found != nullptr && found->is_array() ? *found : nlohmann::json::array();
}

std::string TextAt(const nlohmann::json& from, std::string_view key) {
  const nlohmann::json* found = Find(from, key);
  return found != nullptr && found->is_string() ? found->get<std::string>() : std::string();
}

std::int64_t IntAt(const nlohmann::json& from, std::string_view key, std::int64_t otherwise) {
  const nlohmann::json* found = Find(from, key);
  return found != nullptr && found->is_number_integer() ? found->get<std::int64_t>() : otherwise;
}

std::string WithRemedy(std::string_view message, std::string_view role, std::string_view ns,
                       std::string_view file) {
  const std::string name(role);
  return Sanitize(message, 500) + "; apply manifests/install/optional/" + std::string(file) +
         " and bind its ClusterRole: kubectl create rolebinding " + name +
         " --clusterrole=" + name + " --serviceaccount=certflow-system:certflow -n " +
         std::string(ns);
}

}  // namespace certflow::providers::kubernetes

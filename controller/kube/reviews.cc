#include "controller/kube/reviews.h"

#include <algorithm>

#include "controller/kube/document_json.h"

namespace certflow::kube {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxTokenBytes = 16u << 10;

Resource Review(const char* group, const char* plural, const char* kind) {
  return {group, "v1", plural, kind, false};
}

Error NotAuthenticated() {
  return MakeError(ErrorCode::kUnauthorized, "InvalidToken", "the token is not good");
}

// What may stand inside a JSON string as it is; every token format stays within it.
bool IsPlain(std::string_view token) {
  return !token.empty() && token.size() <= kMaxTokenBytes &&
         std::all_of(token.begin(), token.end(),
                     [](unsigned char c) { return c > 0x20 && c < 0x7f && c != '"' && c != '\\'; });
}

SecretBytes TokenReviewBody(const SecretBytes& token) {
  std::string body;
  body.reserve(token.size() + 128);  // grown once, so that no copy is left behind
  body += R"({"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":")";
  body += token.Reveal();
  body += "\"}}";
  return SecretBytes::Take(std::move(body));
}

// The answer repeats the token.
void ForgetToken(json& review) {
  const auto spec = review.find("spec");
  if (spec == review.end() || !spec->is_object()) return;
  const auto token = spec->find("token");
  if (token != spec->end() && token->is_string()) WipeString(token->get_ref<std::string&>());
}

const json* Member(const json& object, const char* field, json::value_t type) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(field);
  return it != object.end() && it->type() == type ? &*it : nullptr;
}

bool IsTrue(const json& object, const char* field) {
  const json* value = Member(object, field, json::value_t::boolean);
  return value != nullptr && value->get<bool>();
}

json Attributes(const AccessQuestion& question) {
  if (!question.non_resource_path.empty()) {
    return {
        {"nonResourceAttributes", {{"path", question.non_resource_path}, {"verb", question.verb}}}};
  }
  return {{"resourceAttributes",
           {{"verb", question.verb},
            {"group", question.group},
            {"resource", question.resource},
            {"subresource", question.subresource},
            {"namespace", question.ns},
            {"name", question.name}}}};
}

Result<bool> Ask(const Context& ctx, Client& client, const char* plural, const char* kind,
                 json spec) {
  const Resource resource = Review("authorization.k8s.io", plural, kind);
  const json body{{"apiVersion", resource.ApiVersion()}, {"kind", kind}, {"spec", std::move(spec)}};
  CF_ASSIGN_OR_RETURN(Document answer, client.Create(ctx, resource, "", Dump(body)));
  const json* status = Member(Json(answer), "status", json::value_t::object);
  return status != nullptr && IsTrue(*status, "allowed") && !IsTrue(*status, "denied");
}

}  // namespace

Result<UserInfo> ReviewToken(const Context& ctx, Client& client, const SecretBytes& token) {
  if (!IsPlain(token.Reveal())) return NotAuthenticated();
  const Resource resource = Review("authentication.k8s.io", "tokenreviews", "TokenReview");
  CF_ASSIGN_OR_RETURN(Document answer,
                      client.CreateSecretBody(ctx, resource, "", TokenReviewBody(token)));
  ForgetToken(answer.impl().json);
  const json* status = Member(Json(answer), "status", json::value_t::object);
  if (status == nullptr || !IsTrue(*status, "authenticated")) return NotAuthenticated();
  const json* user = Member(*status, "user", json::value_t::object);
  const json* name = user ? Member(*user, "username", json::value_t::string) : nullptr;
  if (name == nullptr || name->get_ref<const std::string&>().empty()) return NotAuthenticated();
  UserInfo info{name->get<std::string>(), {}};
  if (const json* groups = Member(*user, "groups", json::value_t::array)) {
    for (const json& group : *groups) {
      if (group.is_string()) info.groups.push_back(group.get<std::string>());
    }
  }
  return info;
}

Result<bool> ReviewAccess(const Context& ctx, Client& client, const UserInfo& user,
                          const AccessQuestion& question) {
  json spec = Attributes(question);
  spec["user"] = user.username;
  spec["groups"] = user.groups;
  return Ask(ctx, client, "subjectaccessreviews", "SubjectAccessReview", std::move(spec));
}

Result<bool> ReviewOwnAccess(const Context& ctx, Client& client, const AccessQuestion& question) {
  return Ask(ctx, client, "selfsubjectaccessreviews", "SelfSubjectAccessReview",
             Attributes(question));
}

}  // namespace certflow::kube

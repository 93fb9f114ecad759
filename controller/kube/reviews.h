#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "controller/base/context.h"
#include "controller/base/result.h"
#include "controller/base/secret.h"
#include "controller/kube/client.h"

namespace certflow::kube {

struct UserInfo {
  std::string username;
  std::vector<std::string> groups;
};

struct AccessQuestion {
  std::string verb;
  std::string group;
  std::string resource;
  std::string subresource;
  std::string ns;
  std::string name;
  std::string non_resource_path;  // instead of the resource ones
};

// authentication.k8s.io/v1 TokenReview; kUnauthorized when the token is not good.
Result<UserInfo> ReviewToken(const Context& ctx, Client& client, const SecretBytes& token);
// authorization.k8s.io/v1 SubjectAccessReview; only `allowed` is yes.
Result<bool> ReviewAccess(const Context& ctx, Client& client, const UserInfo& user,
                          const AccessQuestion& question);
// SelfSubjectAccessReview.
Result<bool> ReviewOwnAccess(const Context& ctx, Client& client, const AccessQuestion& question);

}  // namespace certflow::kube

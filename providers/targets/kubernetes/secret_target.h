#pragma once

#include <memory>
#include <string>

#include "controller/base/result.h"
#include "controller/seams/secret_store.h"
#include "controller/seams/target.h"

namespace certflow::providers::kubernetes {

// On the live Secret, and the workflow on the versioned ones too.
inline constexpr std::string_view kWorkflowAnnotation = "certflow.dev/workflow";  // "ns/name"
inline constexpr std::string_view kVersionAnnotation = "certflow.dev/version";
inline constexpr std::string_view kFingerprintAnnotation = "certflow.dev/fingerprint";
// What was active before; empty for nothing.
inline constexpr std::string_view kPreviousAnnotation = "certflow.dev/previous";
inline constexpr std::string_view kOriginalAnnotation = "certflow.dev/original";
// Secrets are never listed, so the versions are written down here, oldest first, with spaces
// between. More than kMaxVersions are forgotten from the front.
inline constexpr std::string_view kVersionsAnnotation = "certflow.dev/versions";
inline constexpr std::size_t kMaxVersions = 20;
// Versions that are gone leave the list when there are so many, or at the next Activate.
inline constexpr std::size_t kMaxForgotten = 4;

struct SecretTargetOptions {
  std::string ns;                   // where the Secret is
  std::string default_secret_name;  // where a binding's settings give no "secretName"
  // The caller keeps each version itself as Secret "<default_secret_name>.<version>" in the
  // workflow's namespace (type kubernetes.io/tls, with both tls.crt and tls.key). Stage then makes
  // no request for that name.
  bool staged_by_caller = false;
};

// A kubernetes.io/tls Secret, for Ingress and Gateway. Versions are Secrets "<name>.<version>"
// beside it. A Secret that certflow did not write is touched only with the label
// certflow.dev/allow=true; what is foreign in it stays. `store` outlives the target. Not
// thread-safe; made for one reconcile: it remembers what Observe and Stage saw, and every write is
// conditional on that.
//
// Requests of Observe, Stage and Activate together, with staged_by_caller:
//   first deployment  GET live (404), POST live
//   renewal           GET live, PUT live
// and otherwise one GET and POST of the version and, where there is a live one, one PUT to list it.
//
// TargetState.staged is what that list says and what this object staged; a version that was pruned
// since may still be named. Errors beyond the store's: kForbidden ("SecretNotAllowed",
// "SecretOwnedByOther"), kNotFound ("VersionMissing"), kRefused ("VersionInUse"), kInvalid.
std::unique_ptr<seams::Target> MakeSecretTarget(seams::SecretStore& store,
                                                SecretTargetOptions options);

}  // namespace certflow::providers::kubernetes

#pragma once

#include <string>
#include <string_view>

#include "controller/api/resources.h"
#include "controller/api/run.h"
#include "controller/api/workflow.h"

namespace certflow::api {

inline constexpr std::string_view kSampleDigest =
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

WallTime At(std::string_view text);
kube::Document Doc(std::string_view json);

// A spec as the API server holds it: each member set, the server's defaults among them.
std::string FullSpecJson();
// A CertificateWorkflow as `kubectl get -o json` shows it, with FullSpecJson.
std::string WorkflowJson();
// The least that the CRD lets through, with the defaults that the server adds.
std::string SmallSpecJson();

// Each member has a value that is not its default.
CertificateStatus FullCertificate(std::string_view version);
Workflow FullWorkflow();
Run FullRun();
ProviderObject FullAuthority();
// The targets that FullSpecJson makes, with two that its selector finds.
std::vector<PlannedTarget> FullTargets();
RollbackPlan FullRollback();
NewRun FullNewRun();

// The document that the server would keep of a run whose status was written.
std::string StoredRunJson(const Run& run);

}  // namespace certflow::api

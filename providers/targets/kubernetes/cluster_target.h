#pragma once

#include <memory>

#include "controller/base/result.h"
#include "controller/kube/client.h"
#include "controller/seams/connector.h"
#include "controller/seams/secret_store.h"
#include "controller/seams/target.h"

namespace certflow::providers::kubernetes {

// What `target` and its binding say: a TLS Secret (secret_target.h) and, where named, listeners of
// a Gateway that are made to name it, and workloads that are restarted after its switch. Without
// these it is the Secret's target itself and makes none of the requests below.
//
// Observe reads the Gateway and each workload. `running` is false while a workload was not told to
// restart for what is active, `settling` names the first that is not through. With a Gateway,
// `way_back` tells what its listeners referred to, and remembers_previous is false.
// Activate first makes sure that all of this can be done; then Secret, listeners, restarts. An
// error after the Secret's switch is kUnknownOutcome: doing it again goes on. On the way back what
// is missing by now is passed over, and workloads start once more with what was before.
// Deactivate takes the Secret from the listeners first. Nothing is restarted where no Secret is
// left: the pods could not start without it.
//
// Errors beyond the Secret's: kForbidden "SecretNotListed", "GatewayNotListed"; those of gateway.h
// and workloads.h.
Result<std::unique_ptr<seams::Target>> ConnectClusterTarget(seams::SecretStore& store,
                                                            kube::Client& client,
                                                            const seams::TargetRef& target);

// Whether what spec.kubernetes names is there and may be changed; no request where it names
// nothing but Secrets.
Result<seams::Readiness> CheckClusterTarget(const Context& ctx, kube::Client& client,
                                            const seams::ProviderRef& target);

}  // namespace certflow::providers::kubernetes

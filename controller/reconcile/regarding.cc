#include "controller/reconcile/regarding.h"

namespace certflow::reconcile {

kube::EventRegarding Regarding(const kube::Resource& of, const api::ObjectMeta& meta) {
  return {std::string(api::kApiVersion), of.kind, meta.ns, meta.name, meta.uid};
}

}  // namespace certflow::reconcile

#pragma once

#include "controller/api/meta.h"
#include "controller/kube/client.h"
#include "controller/kube/events.h"

namespace certflow::reconcile {

// An object of ours, as the Events about it name it.
kube::EventRegarding Regarding(const kube::Resource& of, const api::ObjectMeta& meta);

}  // namespace certflow::reconcile

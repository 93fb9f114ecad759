#include "tests/contract/kube/backend.h"

#include <atomic>
#include <iostream>

namespace certflow::contract {
namespace {

using nlohmann::json;

constexpr const char* kDefinition = R"(
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.contract.certflow.dev}
spec:
  group: contract.certflow.dev
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    selectableFields: [{jsonPath: .spec.color}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              size: {type: integer, maximum: 1000000}
              color: {type: string, maxLength: 20}
              text: {type: string, maxLength: 1000000}
          status:
            type: object
            properties:
              phase: {type: string, maxLength: 100}
              count: {type: integer}
)";

std::unique_ptr<controlplane::ControlPlane> StartPlane() {
  controlplane::Options options;
  options.users = {{"stranger", {}}, {"limited", {"contract-limited"}}};
  auto plane = controlplane::ControlPlane::Start(options);
  if (!plane.ok()) {
    std::cerr << plane.error().message << std::endl;
    return nullptr;
  }
  auto applied = (*plane)->ApplyText(kDefinition);
  if (applied.ok()) return std::move(plane).value();
  std::cerr << applied.error().message << std::endl;
  return nullptr;
}

// Ends with the program's tests, so that a failing one leaves nothing behind either.
std::unique_ptr<controlplane::ControlPlane>& Plane() {
  static std::unique_ptr<controlplane::ControlPlane> plane;
  return plane;
}

class EndPlane : public ::testing::Environment {
 public:
  void TearDown() override { Plane().reset(); }
};

const auto* const kEndPlane = ::testing::AddGlobalTestEnvironment(new EndPlane);

}  // namespace

controlplane::ControlPlane* RealPlane() {
  static bool tried = false;
  if (!std::exchange(tried, true)) Plane() = StartPlane();
  return Plane().get();
}

void Collector::OnEvent(kube::WatchEvent event) {
  std::lock_guard lock(mutex_);
  events_.push_back({event.type, event.object.name(), event.object.resource_version(),
                     event.initial_events_end, kube::Json(event.object)});
  changed_.notify_all();
}

std::vector<Collector::Seen> Collector::events() const {
  std::lock_guard lock(mutex_);
  return events_;
}

bool Collector::WaitFor(const std::function<bool(const std::vector<Seen>&)>& enough) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return enough(events_); });
}

Watching::Watching(kube::Client& client, const Context& ctx, kube::Resource resource,
                   kube::WatchOptions options)
    : thread_([this, &client, watch = ctx.WithStop(stop_.get_token()), resource, options] {
        result_ = client.Watch(watch, resource, options, seen_);
      }) {}

Watching::~Watching() {
  Stop();
  if (thread_.joinable()) thread_.join();
}

Result<void> Watching::Join() {
  thread_.join();
  return result_;
}

void KubeContract::SetUp() {
  static std::atomic<int> number = 0;
  ns_ = "contract-" + std::to_string(++number);
  if (real()) {
    controlplane::ControlPlane* plane = RealPlane();
    if (plane == nullptr && controlplane::Required()) FAIL() << "no control plane";
    if (plane == nullptr) GTEST_SKIP() << "no control plane";
    client_ = &plane->ClientFor("admin");
  } else {
    memory_ = std::make_unique<fakes::MemoryApiServer>(*clock_);
    memory_->Serve({kWidgets, true, true, false});
    memory_client_ = memory_->NewClient();
    client_ = memory_client_.get();
  }
  MustCreate({{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", ns_}}}});
}

json KubeContract::Widget(const std::string& name, int size) const {
  return {{"apiVersion", "contract.certflow.dev/v1"},
          {"kind", "Widget"},
          {"metadata", {{"name", name}, {"namespace", ns_}}},
          {"spec", {{"size", size}}}};
}

kube::Document KubeContract::MustCreate(const json& object) {
  const bool ns = object["kind"] == "Namespace";
  auto made = client().Create(ctx(), ns ? kNamespaces : kWidgets, ns ? "" : ns_, object.dump());
  EXPECT_TRUE(made.ok()) << made.error().message;
  return made.ok() ? std::move(made).value() : kube::Document();
}

Result<kube::ListPage> KubeContract::List(int limit, std::string_view token) {
  return client().List(ctx(), kWidgets, {.ns = ns_}, limit, token, "");
}

std::string KubeContract::CurrentVersion() {
  auto page = List();
  EXPECT_TRUE(page.ok());
  return page.ok() ? page->resource_version : "";
}

}  // namespace certflow::contract

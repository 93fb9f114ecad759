#include "controller/app/program.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "controller/reconcile/approval_desk.h"
#include "controller/reconcile/executor.h"
#include "controller/reconcile/outbox_sender.h"
#include "controller/reconcile/provider_reconciler.h"
#include "controller/reconcile/run_reconciler.h"
#include "controller/reconcile/workflow_reconciler.h"
#include "controller/runtime/informer.h"
#include "controller/runtime/leader_elector.h"
#include "providers/registry.h"
#include "providers/stores/kubernetes/kube_secret_store.h"

namespace certflow::app {

namespace {

constexpr BackoffPolicy kQueueBackoff{Duration{50}, 2, Duration{60'000}, 0.3};
constexpr Duration kReconcileLimit{180'000};
// A reconcile that takes longer than that is stuck: the process should be started anew.
constexpr Duration kStuck{600'000};
constexpr Duration kTimeoutFast{30'000};

providers::RegistryParts RegistryPartsOf(const Config& config, const Parts& parts,
                                         seams::SecretStore& secrets) {
  providers::RegistryParts out{parts.outgoing, parts.shells, parts.mail,
                               parts.kube,     secrets,      config.own_namespace};
  out.http01_port = static_cast<std::uint16_t>(config.http01_port);
  return out;
}

runtime::LeaderOptions LeaderOptionsOf(const Config& config, const Parts& parts) {
  runtime::LeaderOptions options;
  options.ns = config.own_namespace;
  options.identity = parts.identity;
  options.lease_duration = config.lease_duration;
  options.renew_deadline = config.renew_deadline;
  options.retry_period = config.retry_period;
  return options;
}

// Whether somebody else spoke: their part of an object is everything but its status.
template <typename T>
bool IsSpokenTo(const typename runtime::Store<T>::Change& change) {
  if (!change.before || !change.after) return true;
  const api::ObjectMeta& before = change.before->meta;
  const api::ObjectMeta& after = change.after->meta;
  return before.uid != after.uid || before.generation != after.generation ||
         before.deleting != after.deleting || before.annotations != after.annotations;
}

bool AsksPeople(const std::shared_ptr<const api::Run>& run) {
  return run && reconcile::AsksPeople(*run);
}
bool HasEnded(const std::shared_ptr<const api::Run>& run) {
  return !run || api::IsTerminal(run->status.state);
}

bool OwesMail(const api::Run& run) {
  return std::any_of(run.status.outbox.begin(), run.status.outbox.end(),
                     [](const auto& e) { return e.state == api::OutboxState::kPending; });
}

}  // namespace

// One queue with its workers.
struct Lane {
  Lane(const char* name, runtime::PoolSize size, const Parts& parts, runtime::ReconcileFn reconcile)
      : queue(name, parts.clock, parts.metrics, kQueueBackoff),
        pool(name, size, kReconcileLimit, queue, parts.clock, parts.metrics, parts.log,
             std::move(reconcile)) {}
  runtime::Workqueue queue;
  runtime::WorkerPool pool;
};

struct Program::Impl {
  Impl(const Config& its_config, Parts its_parts);

  void OnWorkflow(const runtime::Store<api::Workflow>::Change& change, bool initial);
  void OnRun(const runtime::Store<api::Run>::Change& change, bool initial);
  void OnProvider(Lane& lane, const runtime::Store<api::ProviderObject>::Change& change,
                  bool initial, const std::vector<std::string>& awaited);
  void OnBreaker(std::string_view party);
  void AwaitSyncAndLead();
  void StartWorkers();
  void AddHealth();
  std::vector<runtime::Informer*> informers();
  std::vector<Lane*> lanes() {
    return {&workflow_lane, &run_lane, &authority_lane, &target_lane, &channel_lane, &outbox_lane};
  }

  const Config config;
  const Parts parts;
  runtime::Health health;
  std::atomic<bool> stopping{false};
  std::stop_source stop;

  reconcile::World world;
  std::unique_ptr<seams::SecretStore> secrets;
  std::unique_ptr<seams::Connector> connector;
  reconcile::StoreDirectory directory{world};
  reconcile::StatusWriter writer;
  std::unique_ptr<kube::EventRecorder> events;
  runtime::GateKeeper gates;
  reconcile::ApprovalGuard guard;
  reconcile::ApprovalDesk desk;
  steps::StepSet steps;
  runtime::LeaderElector elector;
  reconcile::Executor executor;

  reconcile::WorkflowReconciler workflows;
  reconcile::RunReconciler runs;
  reconcile::ProviderReconciler authorities, targets, channels;
  reconcile::OutboxSender outbox;
  Lane workflow_lane, run_lane, authority_lane, target_lane, channel_lane, outbox_lane;

  runtime::StoreSink<api::Workflow> workflow_sink;
  runtime::StoreSink<api::Run> run_sink;
  runtime::StoreSink<api::ProviderObject> authority_sink, target_sink, channel_sink;
  runtime::StoreSink<api::Namespace> namespace_sink;
  runtime::Informer workflow_informer, run_informer, authority_informer, target_informer,
      channel_informer, namespace_informer;
  std::thread starter;
};

namespace {

Result<api::Run> DecodeCompact(const kube::Document& document) {
  auto run = api::DecodeRun(document);
  if (run.ok()) api::Compact(*run);
  return run;
}

runtime::InformerOptions MetadataOnly() {
  runtime::InformerOptions options;
  options.select.metadata_only = true;
  return options;
}

}  // namespace

Program::Impl::Impl(const Config& its_config, Parts its_parts)
    : config(its_config),
      parts(std::move(its_parts)),
      secrets(providers::store::MakeKubeSecretStore(parts.kube)),
      connector(providers::MakeRegistry(RegistryPartsOf(config, parts, *secrets))),
      writer(parts.kube, world),
      events(kube::MakeEventRecorder(parts.kube, parts.clock, parts.metrics, parts.log,
                                     "certflow.dev/controller", parts.identity)),
      gates(parts.clock, parts.metrics, [this](std::string_view party) { OnBreaker(party); }),
      guard(parts.kube, parts.policy_json, parts.binding_json),
      desk(parts.kube, guard, *events),
      steps({*connector, *secrets, gates}),
      elector(parts.kube, LeaderOptionsOf(config, parts), parts.clock, parts.metrics, parts.log),
      executor({writer, steps, directory, gates, desk, *events, parts.metrics,
                [this] { return !config.leader_elect || elector.MayAct(); }}),
      workflows(world, parts.kube, writer, directory, guard, *events, parts.metrics),
      runs(world, parts.kube, writer, desk, executor),
      authorities(api::AuthorityResource(), world.authorities, writer, gates, *connector, *events,
                  parts.metrics, config.check_interval,
                  [this](const Context& ctx, const seams::ProviderRef& ref) {
                    return connector->EnsureAuthorityReady(ctx, ref);
                  }),
      targets(api::TargetResource(), world.targets, writer, gates, *connector, *events,
              parts.metrics, config.check_interval,
              [this](const Context& ctx, const seams::ProviderRef& ref) {
                return connector->CheckTargetReady(ctx, ref);
              }),
      channels(api::ChannelResource(), world.channels, writer, gates, *connector, *events,
               parts.metrics, config.check_interval,
               [this](const Context& ctx, const seams::ProviderRef& ref) {
                 return connector->CheckChannelReady(ctx, ref);
               }),
      outbox(world, writer, directory, *connector, gates, *events, parts.metrics),
      workflow_lane("workflow", {4, 64}, parts,
                    [this](const Context& ctx, std::string_view key) {
                      return workflows.Reconcile(ctx, key);
                    }),
      run_lane(
          "run", {8, config.max_workers}, parts,
          [this](const Context& ctx, std::string_view key) { return runs.Reconcile(ctx, key); }),
      authority_lane("authority", {1, 32}, parts,
                     [this](const Context& ctx, std::string_view key) {
                       return authorities.Reconcile(ctx, key);
                     }),
      target_lane(
          "target", {1, config.max_workers}, parts,
          [this](const Context& ctx, std::string_view key) { return targets.Reconcile(ctx, key); }),
      channel_lane("channel", {1, 32}, parts,
                   [this](const Context& ctx, std::string_view key) {
                     return channels.Reconcile(ctx, key);
                   }),
      outbox_lane(
          "outbox", {1, 64}, parts,
          [this](const Context& ctx, std::string_view key) { return outbox.Reconcile(ctx, key); }),
      workflow_sink(
          world.workflows, api::DecodeWorkflow,
          [this](const auto& change, bool initial) { OnWorkflow(change, initial); }, parts.log),
      run_sink(
          world.runs, DecodeCompact,
          [this](const auto& change, bool initial) { OnRun(change, initial); }, parts.log),
      authority_sink(
          world.authorities, api::DecodeProviderObject,
          [this](const auto& change, bool initial) {
            OnProvider(authority_lane, change, initial,
                       {reconcile::AwaitedAuthority(change.key.ns, change.key.name)});
          },
          parts.log),
      target_sink(
          world.targets, api::DecodeProviderObject,
          [this](const auto& change, bool initial) {
            OnProvider(
                target_lane, change, initial,
                {reconcile::AwaitedTarget(change.key.ns, change.key.name), reconcile::kAnyTarget});
          },
          parts.log),
      channel_sink(
          world.channels, api::DecodeProviderObject,
          [this](const auto& change, bool initial) {
            OnProvider(channel_lane, change, initial, {});
          },
          parts.log),
      namespace_sink(world.namespaces, api::DecodeNamespace, nullptr, parts.log),
      workflow_informer(parts.kube, api::WorkflowResource(), {}, parts.clock, parts.metrics,
                        parts.log, workflow_sink),
      run_informer(parts.kube, api::RunResource(), {}, parts.clock, parts.metrics, parts.log,
                   run_sink),
      authority_informer(parts.kube, api::AuthorityResource(), {}, parts.clock, parts.metrics,
                         parts.log, authority_sink),
      target_informer(parts.kube, api::TargetResource(), {}, parts.clock, parts.metrics, parts.log,
                      target_sink),
      channel_informer(parts.kube, api::ChannelResource(), {}, parts.clock, parts.metrics,
                       parts.log, channel_sink),
      namespace_informer(parts.kube, api::NamespaceResource(), MetadataOnly(), parts.clock,
                         parts.metrics, parts.log, namespace_sink) {
  AddHealth();
}

std::vector<runtime::Informer*> Program::Impl::informers() {
  return {&namespace_informer, &authority_informer, &target_informer,
          &channel_informer,   &run_informer,       &workflow_informer};
}

void Program::Impl::OnWorkflow(const runtime::Store<api::Workflow>::Change& change, bool initial) {
  auto priority = initial ? runtime::Priority::kInitial : runtime::Priority::kLive;
  workflow_lane.queue.Add(change.key.ToString(), priority);
  const auto& known = change.after ? change.after : change.before;
  bool acting = !config.leader_elect || elector.leading();
  if (!change.after && acting) workflows.Deleted(*change.before);
  // What stands on the workflow (its spec, suspension, decisions) concerns the run under way.
  if (initial || !IsSpokenTo<api::Workflow>(change)) return;
  for (const auto& run : world.runs.ByIndex(reconcile::kRunsByWorkflow, known->meta.uid)) {
    if (!api::IsTerminal(run->status.state)) run_lane.queue.Add(run->meta.key().ToString());
  }
}

void Program::Impl::OnRun(const runtime::Store<api::Run>::Change& change, bool initial) {
  auto priority = initial ? runtime::Priority::kInitial : runtime::Priority::kLive;
  const auto& known = change.after ? change.after : change.before;
  // A run that waits has said itself when it looks again.
  const bool concerns_it = initial || HasEnded(change.after) || IsSpokenTo<api::Run>(change);
  if (change.after && !change.after->plan_json.empty()) {
    if (concerns_it) run_lane.queue.Add(change.key.ToString(), priority);
    if (OwesMail(*change.after)) outbox_lane.queue.Add(change.key.ToString(), priority);
  }
  if (initial) return;
  const std::string workflow = kube::ObjectKey{change.key.ns, known->workflow_name}.ToString();
  if (HasEnded(change.after) || AsksPeople(change.after) || AsksPeople(change.before)) {
    workflow_lane.queue.Add(workflow);
  } else {
    workflow_lane.queue.AddAfter(workflow, reconcile::kMentionEvery);
  }
}

// An authority or target that came or became ready: who could not start for want of it (`awaited`)
// tries again.
void Program::Impl::OnProvider(Lane& lane,
                               const runtime::Store<api::ProviderObject>::Change& change,
                               bool initial, const std::vector<std::string>& awaited) {
  lane.queue.Add(change.key.ToString(),
                 initial ? runtime::Priority::kInitial : runtime::Priority::kLive);
  if (initial || !change.after) return;
  bool was_ready = change.before && change.before->ready();
  bool other_spec =
      !change.before || change.before->meta.generation != change.after->meta.generation;
  if (!other_spec && (was_ready || !change.after->ready())) return;
  for (const std::string& one : awaited) {
    for (const auto& workflow : world.workflows.ByIndex(reconcile::kWaitingFor, one)) {
      workflow_lane.queue.Add(workflow->meta.key().ToString());
    }
  }
}

// Ready is to say that a party does not answer, and that it does again.
void Program::Impl::OnBreaker(std::string_view party) {
  auto look = [&](reconcile::ProviderReconciler& reconciler, Lane& lane) {
    for (const std::string& key : reconciler.MakeDue(party)) lane.queue.Add(key);
  };
  look(authorities, authority_lane);
  look(targets, target_lane);
  look(channels, channel_lane);
}

void Program::Impl::AddHealth() {
  using Probe = runtime::Health::Probe;
  health.Add(Probe::kReady, "caches", [this]() -> Result<void> {
    for (runtime::Informer* informer : informers()) {
      if (!informer->synced()) {
        return MakeError(ErrorCode::kUnavailable, "NotSynced", "the first lists are not complete");
      }
    }
    return {};
  });
  health.Add(Probe::kReady, "stopping", [this]() -> Result<void> {
    if (stopping) return MakeError(ErrorCode::kUnavailable, "Stopping", "shutting down");
    return {};
  });
  health.Add(Probe::kLive, "workers", [this]() -> Result<void> {
    for (Lane* lane : lanes()) {
      if (lane->pool.LongestRunning() > kStuck) {
        return MakeError(ErrorCode::kInternal, "Stuck", "a reconcile does not end");
      }
    }
    return {};
  });
  health.Add(Probe::kLive, "leader", [this]() -> Result<void> {
    if (config.leader_elect && elector.Overdue()) {
      return MakeError(ErrorCode::kInternal, "LeaseOverdue", "leads, but the Lease is overdue");
    }
    return {};
  });
}

void Program::Impl::StartWorkers() {
  for (Lane* lane : lanes()) lane->pool.Start();
  parts.log.Info("leading: workers started");
}

void Program::Impl::AwaitSyncAndLead() {
  Context ctx{parts.clock, SteadyTime::max(), stop.get_token(), parts.log};
  for (runtime::Informer* informer : informers()) {
    if (!informer->WaitSynced(ctx)) return;
  }
  parts.log.Info("caches are in step",
                 {{"workflows", world.workflows.size()}, {"runs", world.runs.size()}});
  if (!config.leader_elect) return StartWorkers();
  elector.Start([this] { StartWorkers(); },
                [this] {
                  if (!stopping) parts.on_lease_lost();
                });
}

Program::Program(const Config& config, Parts parts)
    : impl_(std::make_unique<Impl>(config, std::move(parts))) {}

Program::~Program() { Stop(Duration{0}); }

void Program::Start() {
  for (runtime::Informer* informer : impl_->informers()) informer->Start();
  impl_->starter = std::thread([impl = impl_.get()] {
    pthread_setname_np(pthread_self(), "starter");
    impl->AwaitSyncAndLead();
  });
}

void Program::Stop(Duration grace) {
  if (impl_->stopping.exchange(true)) return;
  impl_->stop.request_stop();
  if (impl_->starter.joinable()) impl_->starter.join();
  SteadyTime deadline = impl_->parts.clock.Steady() + grace;
  // No lane takes new work while another one still drains.
  for (Lane* lane : impl_->lanes()) lane->queue.ShutDown();
  for (Lane* lane : impl_->lanes()) lane->pool.Stop(deadline);
  impl_->elector.Stop(true);
  for (runtime::Informer* informer : impl_->informers()) informer->Stop();
  Context ctx{impl_->parts.clock,
              impl_->parts.clock.Steady() + std::min(grace, kTimeoutFast),
              {},
              impl_->parts.log};
  impl_->events->Flush(ctx);
}

runtime::Health& Program::health() { return impl_->health; }
bool Program::leading() const { return impl_->elector.leading(); }
bool Program::synced() const {
  auto all = impl_->informers();
  return std::all_of(all.begin(), all.end(), [](auto* informer) { return informer->synced(); });
}

std::string Program::ChallengeAnswer(std::string_view token) const {
  for (const auto& run : impl_->world.runs.ByIndex(reconcile::kRunsByToken, token)) {
    for (const auto& challenge : run->status.challenges) {
      if (challenge.token == token) return challenge.key_authorization;
    }
  }
  return "";
}

void Program::RefreshGauges() {
  using std::chrono::hours;
  WallTime now = impl_->parts.clock.Now();
  Metrics& metrics = impl_->parts.metrics;
  int total = 0, none = 0, expired = 0, day = 0, week = 0, month = 0, stalled = 0;
  std::optional<WallTime> earliest;
  for (const auto& workflow : impl_->world.workflows.List()) {
    ++total;
    stalled += api::FindCondition(workflow->status.conditions, api::kStalled) != nullptr;
    const auto& certificate = workflow->status.certificate;
    if (!certificate) {
      ++none;
      continue;
    }
    auto left = certificate->not_after - now;
    expired += left <= hours(0);
    day += left <= hours(24);
    week += left <= hours(24 * 7);
    month += left <= hours(24 * 30);
    if (!earliest || certificate->not_after < *earliest) earliest = certificate->not_after;
  }
  metrics.Set("certflow_workflows", "CertificateWorkflows known.", {}, total);
  metrics.Set("certflow_workflows_stalled", "CertificateWorkflows that need somebody.", {},
              stalled);
  const char* help = "Certificates that end within the time; each counts in every longer one too.";
  metrics.Set("certflow_certificates_expiring", help, {{"within", "0h"}}, expired);
  metrics.Set("certflow_certificates_expiring", help, {{"within", "24h"}}, day);
  metrics.Set("certflow_certificates_expiring", help, {{"within", "7d"}}, week);
  metrics.Set("certflow_certificates_expiring", help, {{"within", "30d"}}, month);
  metrics.Set("certflow_workflows_without_certificate",
              "CertificateWorkflows that never had a certificate.", {}, none);
  if (earliest) {
    metrics.Set("certflow_certificate_earliest_expiry_timestamp_seconds",
                "When the first certificate ends.", {},
                static_cast<double>(std::chrono::system_clock::to_time_t(*earliest)));
  }
  auto not_ready = [&](const kube::Resource& resource, const auto& store) {
    int count = 0;
    for (const auto& object : store.List()) count += !object->ready();
    metrics.Set("certflow_providers_not_ready",
                "Authorities, targets and channels whose Ready is not True.",
                {{"kind", resource.kind}}, count);
  };
  not_ready(api::AuthorityResource(), impl_->world.authorities);
  not_ready(api::TargetResource(), impl_->world.targets);
  not_ready(api::ChannelResource(), impl_->world.channels);
  int active = 0;
  for (const auto& run : impl_->world.runs.List()) {
    active += !api::IsTerminal(run->status.state);
  }
  metrics.Set("certflow_runs_active", "WorkflowRuns that have not ended.", {}, active);
}

}  // namespace certflow::app

#include "controller/api/run_status.h"

#include <utility>

namespace certflow::api {
namespace {

constexpr Names<RunState, 9> kRunStates = {{{RunState::kPending, "Pending"},
                                            {RunState::kRunning, "Running"},
                                            {RunState::kWaiting, "Waiting"},
                                            {RunState::kMitigating, "Mitigating"},
                                            {RunState::kSucceeded, "Succeeded"},
                                            {RunState::kFailed, "Failed"},
                                            {RunState::kRolledBack, "RolledBack"},
                                            {RunState::kHeld, "Held"},
                                            {RunState::kCancelled, "Cancelled"}}};
constexpr Names<EntryState, 6> kEntryStates = {{{EntryState::kPending, "Pending"},
                                                {EntryState::kIntended, "Intended"},
                                                {EntryState::kDone, "Done"},
                                                {EntryState::kFailed, "Failed"},
                                                {EntryState::kSkipped, "Skipped"},
                                                {EntryState::kReverted, "Reverted"}}};
constexpr Names<OutboxState, 3> kOutboxStates = {{{OutboxState::kPending, "Pending"},
                                                  {OutboxState::kSent, "Sent"},
                                                  {OutboxState::kFailed, "Failed"}}};
constexpr Names<bool, 2> kDecisions = {{{true, "Approved"}, {false, "Rejected"}}};
constexpr Names<bool, 2> kVerdicts = {{{true, "Passed"}, {false, "Failed"}}};

// The two directions. `Always` is written even where it is empty or 0; the rest is not.
class Reader {
 public:
  template <typename T>
  using Part = T;

  explicit Reader(const Fields& fields) : fields_(fields) {}

  void operator()(const char* key, std::string& value) const { value = fields_.String(key); }
  void operator()(const char* key, int& value) const {
    value = static_cast<int>(fields_.Int(key, 0));
  }
  void operator()(const char* key, std::optional<WallTime>& value) const {
    value = fields_.Time(key);
  }
  void operator()(const char* key, std::vector<std::string>& value) const {
    value = fields_.Strings(key);
  }
  void operator()(const char* key, std::map<std::string, std::string>& value) const {
    value = fields_.StringMap(key);
  }
  template <typename T>
  void Always(const char* key, T& value) const {
    (*this)(key, value);
  }
  void Always(const char* key, WallTime& value) const {
    value = fields_.Time(key).value_or(WallTime{});
  }
  // "namespace/name".
  void Always(const char* key, Reference& value) const {
    const std::string text = fields_.String(key);
    const std::size_t slash = text.find('/');
    if (slash != std::string::npos) value = {text.substr(slash + 1), text.substr(0, slash)};
  }
  template <typename E, std::size_t N>
  void Always(const char* key, E& value, const Names<E, N>& names) const {
    value = ValueOf(names, fields_, key, E{});
  }

 private:
  const Fields& fields_;
};

class Writer {
 public:
  template <typename T>
  using Part = const T;

  explicit Writer(Json& out) : out_(out) {}

  template <typename T>
  void operator()(const char* key, const T& value) const {
    Put(out_, key, value);
  }
  void operator()(const char* key, int value) const {
    if (value != 0) out_[key] = value;
  }
  void operator()(const char* key, const std::map<std::string, std::string>& value) const {
    if (!value.empty()) out_[key] = value;
  }
  void Always(const char* key, const std::string& value) const { out_[key] = value; }
  void Always(const char* key, int value) const { out_[key] = value; }
  void Always(const char* key, WallTime value) const { out_[key] = FormatTime(value); }
  void Always(const char* key, const Reference& value) const {
    out_[key] = value.ns + "/" + value.name;
  }
  template <typename E, std::size_t N>
  void Always(const char* key, E value, const Names<E, N>& names) const {
    out_[key] = NameOf(names, value);
  }

 private:
  Json& out_;
};

// An item of a list: const where it is written.
template <typename Io, typename T>
using Part = typename Io::template Part<T>;

template <typename Io>
void Tell(const Io& io, Part<Io, LedgerEntry>& entry) {
  io.Always("id", entry.id);
  io.Always("step", entry.step);
  io.Always("state", entry.state, kEntryStates);
  io.Always("attempts", entry.attempts);
  io("target", entry.target);
  io("startedAt", entry.started_at);
  io("endedAt", entry.ended_at);
  io("notBefore", entry.not_before);
  io("reason", entry.reason);
  io("message", entry.message);
  io("memo", entry.memo);
}

template <typename Io>
void Tell(const Io& io, Part<Io, CheckRecord>& check) {
  io.Always("name", check.name);
  io.Always("value", check.value);
  io.Always("verdict", check.verdict);
  io("subject", check.subject);
  io("message", check.message);
  io("phase", check.phase);
}

template <typename Io>
void Tell(const Io& io, Part<Io, Decision>& decision) {
  io.Always("gate", decision.gate);
  io.Always("user", decision.user);
  io.Always("decision", decision.approved, kDecisions);
  io.Always("time", decision.time);
  io("layer", decision.layer);
  io("groups", decision.groups);
  io("digest", decision.digest);
  io("reason", decision.reason);
  io("source", decision.source);
}

template <typename Io>
void Tell(const Io& io, Part<Io, Refusal>& refusal) {
  io.Always("time", refusal.time);
  io.Always("message", refusal.message);
  io("source", refusal.source);
  io("user", refusal.user);
}

template <typename Io>
void Tell(const Io& io, Part<Io, Evidence>& evidence) {
  io.Always("wave", evidence.wave);
  io.Always("endpoint", evidence.endpoint);
  io.Always("verdict", evidence.passed, kVerdicts);
  io.Always("time", evidence.time);
  io("address", evidence.address);
  io("fingerprint", evidence.fingerprint);
  io("issuer", evidence.issuer);
  io("tlsVersion", evidence.tls_version);
  io("message", evidence.message);
  io("notAfter", evidence.not_after);
}

template <typename Io>
void Tell(const Io& io, Part<Io, DeploymentRecord>& record) {
  io.Always("id", record.id);
  io.Always("target", record.target);
  io.Always("type", record.type);
  io.Always("wave", record.wave);
  io.Always("device", record.device);
  io.Always("state", record.state);
  io.Always("time", record.time);
  io("address", record.address);
  io("port", record.port);
  io("virtualHost", record.virtual_host);
  io("serverName", record.server_name);
  io("side", record.side);
  io("profile", record.profile);
  io("location", record.location);
  io("version", record.version);
  io("previous", record.previous);
  io("fingerprint", record.fingerprint);
}

template <typename Io>
void Tell(const Io& io, Part<Io, OutboxEntry>& entry) {
  io.Always("id", entry.id);
  io.Always("event", entry.event);
  io.Always("channel", entry.channel);
  io.Always("rule", entry.rule);
  io.Always("state", entry.state, kOutboxStates);
  io.Always("attempts", entry.attempts);
  io("nextAttempt", entry.next_attempt);
  io("message", entry.message);
}

template <typename Io>
void Tell(const Io& io, Part<Io, ServedChallenge>& challenge) {
  io.Always("token", challenge.token);
  io.Always("keyAuthorization", challenge.key_authorization);
  io("domain", challenge.domain);
}

template <typename Io>
void Tell(const Io& io, Part<Io, RollbackAnswer>& answer) {
  io.Always("source", answer.source);
  io.Always("run", answer.run);
}

template <typename Io>
void Tell(const Io& io, Part<Io, RunStatus>& status) {
  io.Always("state", status.state, kRunStates);
  io("step", status.step);
  io("waitingFor", status.waiting_for);
  io("until", status.until);
  io("startedAt", status.started_at);
  io("endedAt", status.ended_at);
  io("reason", status.reason);
  io("message", status.message);
}

// Each list with its bound.
template <typename Status, typename Each>
void ForEachList(Status& status, const Each& each) {
  each("ledger", status.ledger, kMaxLedger);
  each("checks", status.checks, kMaxChecks);
  each("approvals", status.approvals, kMaxDecisions);
  each("refusals", status.refusals, kMaxRefusals);
  each("evidence", status.evidence, kMaxEvidence);
  each("deployments", status.deployments, kMaxDeployments);
  each("outbox", status.outbox, kMaxOutbox);
  each("challenges", status.challenges, kMaxChallenges);
}

}  // namespace

std::string_view RunStateName(RunState state) { return NameOf(kRunStates, state); }

RunStatus ReadRunStatus(const Fields& fields) {
  RunStatus status;
  Tell(Reader(fields), status);
  status.conditions = ReadConditions(fields);
  ForEachList(status, [&](const char* key, auto& list, std::size_t) {
    fields.Each(key, [&](const Fields& item) { Tell(Reader(item), list.emplace_back()); });
  });
  if (fields.has("rollback")) {
    const Fields answer = fields.Object("rollback");
    Tell(Reader(answer), status.rollback.emplace());
  }
  if (fields.has("certificate")) status.certificate = ReadCertificate(fields.Object("certificate"));
  if (fields.has("previousCertificate")) {
    status.previous = ReadCertificate(fields.Object("previousCertificate"));
  }
  return status;
}

Json WriteRunStatus(const RunStatus& status) {
  Json out = Json::object();
  Tell(Writer(out), status);
  out["conditions"] = WriteConditions(status.conditions);
  ForEachList(status, [&](const char* key, const auto& list, std::size_t limit) {
    if (list.empty()) return;
    Json array = Json::array();
    for (std::size_t i = list.size() > limit ? list.size() - limit : 0; i < list.size(); ++i) {
      Json item = Json::object();
      Tell(Writer(item), list[i]);
      array.push_back(std::move(item));
    }
    out[key] = std::move(array);
  });
  if (status.rollback) Tell(Writer(out["rollback"]), *status.rollback);
  if (status.certificate) out["certificate"] = WriteCertificate(*status.certificate);
  if (status.previous) out["previousCertificate"] = WriteCertificate(*status.previous);
  return out;
}

}  // namespace certflow::api

// What only a real API server can show.

#include <filesystem>
#include <fstream>
#include <mutex>
#include <optional>
#include <thread>

#include "controller/kube/config.h"
#include "controller/kube/events.h"
#include "controller/kube/reviews.h"
#include "tests/contract/kube/backend.h"

namespace certflow::contract {
namespace {

using kube::Json;
using nlohmann::json;

class RealKube : public KubeContract {
 protected:
  void SetUp() override {
    KubeContract::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    std::string pattern =
        (std::filesystem::temp_directory_path() / "certflow-kube-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }
  controlplane::ControlPlane& plane() { return *RealPlane(); }

  std::string Write(const std::string& name, const std::string& text) const {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::trunc) << text;
    return path;
  }
  // A client whose user is described by `user` (YAML, indented by four).
  std::unique_ptr<kube::Client> ClientWith(const std::string& user) {
    const std::string path =
        Write("config",
              "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: c\n"
              "  cluster:\n    server: " +
                  plane().url() + "\n    certificate-authority: " + plane().ca_file() +
                  "\nusers:\n- name: u\n  user:\n" + user +
                  "contexts:\n- name: c\n  context: {cluster: c, user: u}\n");
    auto config = kube::LoadKubeconfig(path, "");
    EXPECT_TRUE(config.ok()) << config.error().message;
    if (!http_) http_ = net::MakeCurlHttpClient("test-http", {});
    return kube::MakeClient(*http_, *config, NoMetrics());
  }
  Result<kube::Document> GetDefault(kube::Client& client) {
    return client.Get(ctx(), kNamespaces, {"", "default"});
  }

  std::string folder_;
  std::unique_ptr<net::HttpClient> http_;
};

TEST_P(RealKube, StrangerIsForbiddenAndBadTokenUnauthorized) {
  auto read = plane().ClientFor("stranger").Get(ctx(), kSecrets, {"default", "x"});
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, ErrorCode::kForbidden);
  EXPECT_NE(read.error().message.find("stranger"), std::string::npos);
  auto nobody = GetDefault(*ClientWith("    token: wrong\n"));
  ASSERT_FALSE(nobody.ok());
  EXPECT_EQ(nobody.error().code, ErrorCode::kUnauthorized);
}

TEST_P(RealKube, UnknownFieldsAreRefusedByName) {
  json widget = Widget("a");
  widget["spec"]["sise"] = 3;
  auto made = client().Create(ctx(), kWidgets, ns(), widget.dump());
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, ErrorCode::kInvalid);
  EXPECT_NE(made.error().message.find("spec.sise"), std::string::npos) << made.error().message;
}

TEST_P(RealKube, RotatedTokenFileIsReadAgainAfterARefusal) {
  const std::string path = Write("token", "expired\n");
  auto client = ClientWith("    tokenFile: token\n");
  EXPECT_EQ(GetDefault(*client).error().code, ErrorCode::kUnauthorized);
  Write("token", plane().TokenFor("admin") + "\n");
  auto read = GetDefault(*client);
  EXPECT_TRUE(read.ok()) << read.error().message;
}

TEST_P(RealKube, ExecPluginIsRunAgainWhenItsTokenIsRefused) {
  const std::string script = Write(
      "plugin",
      "#!/bin/sh\n"
      "cd \"$(dirname \"$0\")\" || exit 1\n"
      "echo run >>runs\n"
      "printf '%s' \"$KUBERNETES_EXEC_INFO\" >info\n"
      "token=stale\n"
      "[ \"$(wc -l <runs)\" -gt 1 ] && token=$GOOD\n"
      "printf '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\","
      "\"status\":{\"token\":\"%s\"}}' \"$token\"\n");
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  auto client = ClientWith(
      "    exec:\n      apiVersion: client.authentication.k8s.io/v1\n      command: ./plugin\n"
      "      interactiveMode: Never\n      provideClusterInfo: true\n"
      "      env: [{name: GOOD, value: " +
      plane().TokenFor("admin") + "}]\n");
  auto read = GetDefault(*client);
  EXPECT_TRUE(read.ok()) << read.error().message;
  EXPECT_TRUE(GetDefault(*client).ok());
  std::ifstream runs(folder_ + "/runs");
  const std::string text{std::istreambuf_iterator<char>(runs), {}};
  EXPECT_EQ(text, "run\nrun\n") << "once refused, then cached";
  std::ifstream info(folder_ + "/info");
  const json given = json::parse(info, nullptr, false);
  ASSERT_TRUE(given.is_object());
  EXPECT_EQ(given["spec"]["cluster"]["server"], plane().url());
  EXPECT_EQ(given["spec"]["interactive"], false);
}

TEST_P(RealKube, ReviewsTellWhoAndWhat) {
  auto user = kube::ReviewToken(ctx(), client(), SecretBytes(plane().TokenFor("limited")));
  ASSERT_TRUE(user.ok()) << user.error().message;
  EXPECT_EQ(user->username, "limited");
  EXPECT_NE(std::find(user->groups.begin(), user->groups.end(), "contract-limited"),
            user->groups.end());
  auto bad = kube::ReviewToken(ctx(), client(), SecretBytes("no-such-token"));
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().code, ErrorCode::kUnauthorized);
  const kube::AccessQuestion question{.verb = "get", .resource = "secrets", .ns = ns()};
  auto allowed = kube::ReviewAccess(ctx(), client(), *user, question);
  ASSERT_TRUE(allowed.ok()) << allowed.error().message;
  EXPECT_FALSE(*allowed);
  allowed = kube::ReviewAccess(ctx(), client(), {"anyone", {"system:masters"}}, question);
  ASSERT_TRUE(allowed.ok());
  EXPECT_TRUE(*allowed);
  EXPECT_TRUE(*kube::ReviewOwnAccess(ctx(), client(), question));
  EXPECT_FALSE(*kube::ReviewOwnAccess(ctx(), plane().ClientFor("stranger"),
                                      {.verb = "get", .non_resource_path = "/metrics"}));
}

TEST_P(RealKube, RepeatedNotesAreOneEventWithACount) {
  const kube::Document made = MustCreate(Widget("a"));
  auto recorder = kube::MakeEventRecorder(client(), *clock_, NoMetrics(), Logger(),
                                          "certflow.dev/controller", "test");
  const kube::EventRegarding regarding{"contract.certflow.dev/v1", "Widget", ns(), "a", made.uid()};
  for (int i = 0; i < 4; ++i) {
    recorder->Record({regarding, true, "RenewalFailed", "Renew", "the CA said no"});
  }
  recorder->Record({regarding, false, "Renewed", "Renew", "serial 1"});
  recorder->Flush(ctx());
  const kube::Resource events{"events.k8s.io", "v1", "events", "Event", true};
  auto page = client().List(ctx(), events, {.ns = ns()}, 0, "", "");
  ASSERT_TRUE(page.ok()) << page.error().message;
  ASSERT_EQ(page->items.size(), 2u);
  int series = 0;
  for (const kube::Document& event : page->items) {
    EXPECT_EQ(Json(event)["regarding"]["uid"], made.uid());
    if (Json(event)["reason"] == "RenewalFailed") series = Json(event)["series"]["count"];
  }
  EXPECT_EQ(series, 4);
}

TEST_P(RealKube, ApplyOfSomebodyElsesFieldConflictsUnlessForced) {
  json widget = Widget("a", 1);
  auto one = client().Apply(ctx(), kWidgets, Key("a"), "one", false, widget.dump());
  ASSERT_TRUE(one.ok()) << one.error().message;
  widget["spec"]["size"] = 2;
  auto two = client().Apply(ctx(), kWidgets, Key("a"), "two", false, widget.dump());
  ASSERT_FALSE(two.ok());
  EXPECT_EQ(two.error().code, ErrorCode::kConflict);
  EXPECT_NE(two.error().message.find("one"), std::string::npos) << two.error().message;
  two = client().Apply(ctx(), kWidgets, Key("a"), "two", true, widget.dump());
  ASSERT_TRUE(two.ok());
  EXPECT_EQ(Json(*two)["spec"]["size"], 2);
}

TEST_P(RealKube, OverloadIsRateLimitedWithATimeToWait) {
  auto applied = plane().ApplyText(R"(
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: PriorityLevelConfiguration
metadata: {name: contract-none}
spec:
  type: Limited
  limited: {nominalConcurrencyShares: 0, lendablePercent: 0, borrowingLimitPercent: 0, limitResponse: {type: Reject}}
---
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: {name: contract-none}
spec:
  matchingPrecedence: 2
  priorityLevelConfiguration: {name: contract-none}
  rules:
  - subjects: [{kind: Group, group: {name: contract-limited}}]
    resourceRules: [{verbs: ["*"], apiGroups: ["*"], resources: ["*"], namespaces: ["*"], clusterScope: true}]
)");
  ASSERT_TRUE(applied.ok()) << applied.error().message;
  // One request at a time is let through whatever the shares; the others are sent away, once the
  // server has noticed the schema.
  std::mutex mutex;
  std::optional<Error> limited;
  const SteadyTime until = clock_->Steady() + Duration{20'000};
  kube::Client& client_of_limited = plane().ClientFor("limited");
  const auto ask = [&] {
    while (clock_->Steady() < until) {
      auto read = client_of_limited.Get(ctx(), kSecrets, {"default", "x"});
      const std::lock_guard lock(mutex);
      if (!read.ok() && read.error().code == ErrorCode::kRateLimited) limited = read.error();
      if (limited) return;
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back(ask);
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(limited);
  EXPECT_EQ(limited->retry, Retry::kAfter);
  EXPECT_TRUE(limited->retry_after && *limited->retry_after >= Duration{1'000});
}

TEST_P(RealKube, FrozenServerIsNoticedByOurOwnDeadline) {
  kube::WatchOptions options;
  options.select.ns = ns();
  options.resource_version = CurrentVersion();
  options.timeout = Duration{1'000};
  Watching watch(client(), ctx(), kWidgets, options);
  MustCreate(Widget("a"));
  ASSERT_TRUE(watch.seen().WaitFor([](const auto& events) { return !events.empty(); }));
  plane().FreezeApiServer();
  const auto result = watch.Join();
  plane().ThawApiServer();
  // Frozen before its regular end, the server says nothing at all.
  if (!result.ok()) {
    EXPECT_EQ(result.error().code, ErrorCode::kUnavailable) << result.error().message;
    EXPECT_EQ(result.error().reason, "StreamSilent");
  }
}

TEST_P(RealKube, FrozenServerLeavesAWriteUnknown) {
  plane().FreezeApiServer();
  auto made =
      client().Create(ctx().WithTimeout(Duration{500}), kWidgets, ns(), Widget("maybe").dump());
  plane().ThawApiServer();
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, ErrorCode::kUnknownOutcome) << made.error().message;
}

TEST_P(RealKube, RestartedServerExpiresWhatItNoLongerRemembers) {
  const std::string old = CurrentVersion();
  MustCreate(Widget("a"));
  MustCreate(Widget("b"));
  ASSERT_TRUE(plane().RestartApiServer().ok());
  kube::WatchOptions options;
  options.select.ns = ns();
  options.resource_version = old;
  Error last;
  for (int i = 0; i < 100 && last.code != ErrorCode::kExpired; ++i) {
    Watching watch(client(), ctx().WithTimeout(Duration{5'000}), kWidgets, options);
    const auto result = watch.Join();
    ASSERT_FALSE(result.ok());
    last = result.error();
    if (last.code != ErrorCode::kExpired) {
      clock_->WaitUntil(clock_->Steady() + Duration{100}, {});
    }
  }
  EXPECT_EQ(last.code, ErrorCode::kExpired) << last.message;
  auto page = List();
  ASSERT_TRUE(page.ok()) << page.error().message;
  EXPECT_EQ(page->items.size(), 2u);
}

INSTANTIATE_TEST_SUITE_P(, RealKube, ::testing::Values("Real"),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace certflow::contract

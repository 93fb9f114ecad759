#include "providers/targets/f5/session.h"

#include <gtest/gtest.h>

#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "providers/targets/f5/devices.h"
#include "tests/fakes/clock/simulated_clock.h"

namespace certflow::providers::f5 {
namespace {

// A device that answers what the test says and gives out tokens T1, T2, ...
class ScriptedDevice : public net::HttpClient {
 public:
  struct Seen {
    std::string method, path, token, body;
  };
  std::function<std::optional<net::HttpResponse>(const Seen&)> script;
  int token_seconds = 1200;

  Result<net::HttpResponse> Do(const Context& ctx, const net::HttpRequest& request) override {
    CF_RETURN_IF_ERROR(ctx.Check());
    Seen now{
        request.method, request.url.substr(request.url.find("/mgmt")), "",
        std::string(request.secret_body.empty() ? request.body : request.secret_body.Reveal())};
    for (const net::Header& header : request.headers) {
      if (header.name == "X-F5-Auth-Token") now.token = header.value;
    }
    const std::lock_guard lock(mutex_);
    seen_.push_back(now);
    if (script) {
      if (auto answer = script(now)) return std::move(*answer);
    }
    if (now.path == "/mgmt/shared/authn/login") {
      const std::string token = "T" + std::to_string(++tokens_);
      return net::HttpResponse{200,
                               {},
                               R"({"token":{"token":")" + token + R"(","timeout":)" +
                                   std::to_string(token_seconds) + "}}"};
    }
    return net::HttpResponse{200, {}, "{}"};
  }
  Result<void> Stream(const Context&, const net::HttpRequest&, net::StreamSink&) override {
    return MakeError(ErrorCode::kInternal, "Unused", "not used");
  }
  std::vector<Seen> To(const std::string& method, const std::string& path) const {
    const std::lock_guard lock(mutex_);
    std::vector<Seen> out;
    for (const Seen& seen : seen_) {
      if (seen.method == method && seen.path.starts_with(path)) out.push_back(seen);
    }
    return out;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Seen> seen_;
  int tokens_ = 0;
};

constexpr const char* kLogin = "/mgmt/shared/authn/login";
constexpr const char* kTokens = "/mgmt/shared/authz/tokens/";
constexpr const char* kThing = "/mgmt/tm/sys";

net::HttpResponse Refusal(int status, const std::string& message) {
  return {status,
          {},
          R"({"code":)" + std::to_string(status) + R"(,"message":")" + message +
              R"(","kind":":resterrorresponse"})"};
}

class F5SessionTest : public testing::Test {
 protected:
  Context ctx() { return Context{clock_}; }
  Result<std::string> Ask() { return session_.Do(ctx(), who_, {"system", kThing}); }

  fakes::SimulatedClock clock_;
  ScriptedDevice device_;
  Session session_{device_, "https://bigip.test", nullptr};
  Credentials who_{"svc", SecretBytes("pa\"ss\\\n"), "tmos"};
};

TEST_F(F5SessionTest, OneLoginServesMany) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Ask().ok());
  ASSERT_EQ(device_.To("POST", kLogin).size(), 1u);
  EXPECT_EQ(device_.To("POST", kLogin)[0].body,
            R"({"username":"svc","password":"pa\"ss\\\u000a","loginProviderName":"tmos"})");
  EXPECT_EQ(device_.To("POST", kLogin)[0].token, "");
  for (const auto& seen : device_.To("GET", kThing)) EXPECT_EQ(seen.token, "T1");
}

TEST_F(F5SessionTest, ManyThreadsLogInOnce) {
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([this] { EXPECT_TRUE(Ask().ok()); });
  }
  threads.clear();
  EXPECT_EQ(device_.To("POST", kLogin).size(), 1u);
}

TEST_F(F5SessionTest, ATokenThatIsNotKnownIsReplacedOnce) {
  ASSERT_TRUE(Ask().ok());
  for (const char* why :
       {"X-F5-Auth-Token has expired.", "X-F5-Auth-Token does not exist.",
        "Authorization failed: no user authentication header or token detected."}) {
    bool refused = false;
    device_.script = [&](const ScriptedDevice::Seen& seen) -> std::optional<net::HttpResponse> {
      if (seen.path != kThing || std::exchange(refused, true)) return std::nullopt;
      return Refusal(401, why);
    };
    const std::size_t before = device_.To("POST", kLogin).size();
    ASSERT_TRUE(Ask().ok()) << why;
    EXPECT_EQ(device_.To("POST", kLogin).size(), before + 1) << why;
  }
  device_.script = [](const ScriptedDevice::Seen& seen) -> std::optional<net::HttpResponse> {
    if (seen.path != kThing) return std::nullopt;
    return Refusal(401, "X-F5-Auth-Token has expired.");
  };
  const std::size_t before = device_.To("POST", kLogin).size();
  EXPECT_EQ(Ask().error().reason, "TokenRefused");
  EXPECT_LE(device_.To("POST", kLogin).size(), before + 2);
}

TEST_F(F5SessionTest, ALowRoleIsNoReasonToLogInAgain) {
  device_.script = [](const ScriptedDevice::Seen& seen) -> std::optional<net::HttpResponse> {
    if (seen.path != kThing) return std::nullopt;
    return Refusal(401, "Authorization failed: user=https://localhost/x resource=/mgmt/tm/sys");
  };
  EXPECT_EQ(Ask().error().reason, "RoleTooLow");
  EXPECT_EQ(device_.To("POST", kLogin).size(), 1u);
}

TEST_F(F5SessionTest, ATokenThatIsAboutToExpireIsExtended) {
  ASSERT_TRUE(Ask().ok());
  device_.script = [](const ScriptedDevice::Seen& seen) -> std::optional<net::HttpResponse> {
    if (seen.method != "PATCH") return std::nullopt;
    return net::HttpResponse{
        200, {}, R"({"token":"T1","lastUpdateMicros":1000000,"expirationMicros":1201000000})"};
  };
  clock_.Advance(std::chrono::minutes(19));
  ASSERT_TRUE(Ask().ok());
  const auto extended = device_.To("PATCH", kTokens);
  ASSERT_EQ(extended.size(), 1u);
  EXPECT_EQ(extended[0].body, R"({"timeout":2340})") << "from its making, twenty minutes from now";
  EXPECT_EQ(device_.To("POST", kLogin).size(), 1u);
  clock_.Advance(std::chrono::minutes(10));
  ASSERT_TRUE(Ask().ok());
  EXPECT_EQ(device_.To("PATCH", kTokens).size(), 1u) << "not yet again";
}

TEST_F(F5SessionTest, WhereExtendingFailsTheOldOneIsGivenBack) {
  ASSERT_TRUE(Ask().ok());
  device_.script = [](const ScriptedDevice::Seen& seen) -> std::optional<net::HttpResponse> {
    if (seen.method != "PATCH") return std::nullopt;
    return Refusal(406, "Auth-token absolute timeout (36000 seconds) exceeded");
  };
  clock_.Advance(std::chrono::minutes(19));
  ASSERT_TRUE(Ask().ok());
  ASSERT_EQ(device_.To("DELETE", kTokens).size(), 1u);
  EXPECT_EQ(device_.To("DELETE", kTokens)[0].path, std::string(kTokens) + "T1");
  EXPECT_EQ(device_.To("POST", kLogin).size(), 2u);
}

TEST_F(F5SessionTest, ARefusedLoginAndAFullUserAreLeftAloneForAWhile) {
  std::string why = "Authentication failed.";
  int status = 401;
  device_.script = [&](const ScriptedDevice::Seen& seen) -> std::optional<net::HttpResponse> {
    if (seen.path != kLogin) return std::nullopt;
    return Refusal(status, why);
  };
  for (int i = 0; i < 4; ++i) EXPECT_EQ(Ask().error().reason, "LoginRefused");
  EXPECT_EQ(device_.To("POST", kLogin).size(), 1u);
  clock_.Advance(std::chrono::minutes(2));
  status = 400;
  why = "user 290107b2 has reached maximum active login tokens";
  for (int i = 0; i < 4; ++i) EXPECT_EQ(Ask().error().reason, "TokenLimit");
  EXPECT_EQ(device_.To("POST", kLogin).size(), 2u);
  clock_.Advance(std::chrono::minutes(6));
  device_.script = nullptr;
  EXPECT_TRUE(Ask().ok());
}

TEST_F(F5SessionTest, EndGivesTheTokenBack) {
  ASSERT_TRUE(Ask().ok());
  EXPECT_TRUE(session_.has_token());
  session_.End(ctx());
  EXPECT_FALSE(session_.has_token());
  EXPECT_EQ(device_.To("DELETE", kTokens).size(), 1u);
  session_.End(ctx());
  EXPECT_EQ(device_.To("DELETE", kTokens).size(), 1u);
}

class F5DevicesTest : public testing::Test {
 protected:
  static seams::ProviderRef Target(const std::string& uid, const std::string& host) {
    const std::string pin = std::string(43, 'A') + "=";
    return {"f5",
            "prod",
            uid,
            uid,
            R"({"hosts":[")" + host + R"("],"username":"u","tls":{"publicKeyPins":[")" + pin +
                R"("]}})",
            "",
            ""};
  }
  Connection Connect(Devices& devices, const std::string& uid, const std::string& host,
                     const std::string& password) {
    return std::move(*devices.Connect(Target(uid, host), SecretBytes(), SecretBytes(password)));
  }
  void Ask(Connection& to) {
    ASSERT_TRUE(to.pair->unit(0).Do(Context{clock_}, to.who, {"system", kThing}).ok());
  }
  // The devices' own clock, which they keep.
  struct Borrowed : Clock {
    explicit Borrowed(fakes::SimulatedClock& inner) : inner_(inner) {}
    WallTime Now() const override { return inner_.Now(); }
    SteadyTime Steady() const override { return inner_.Steady(); }
    bool WaitUntil(SteadyTime until, std::stop_token stop) override {
      return inner_.WaitUntil(until, std::move(stop));
    }
    fakes::SimulatedClock& inner_;
  };
  // Lets the tidier have its turn, once for each half minute.
  void Pass(Duration time) {
    for (Duration step{0}; step < time; step += std::chrono::seconds(30)) {
      ASSERT_TRUE(clock_.AwaitWaiters(1));
      clock_.Advance(std::chrono::seconds(30));
    }
    ASSERT_TRUE(clock_.AwaitWaiters(1));
  }

  fakes::SimulatedClock clock_;
  ScriptedDevice device_;
};

TEST_F(F5DevicesTest, TargetsOfOnePairShareItsToken) {
  Devices devices(device_, std::make_unique<Borrowed>(clock_));
  for (const char* uid : {"one", "two"}) {
    auto to = Connect(devices, uid, "10.0.0.7", "p");
    Ask(to);
  }
  EXPECT_EQ(device_.To("POST", kLogin).size(), 1u);
}

TEST_F(F5DevicesTest, AnIdleTokenIsGivenBackAndOneInUseIsNot) {
  Devices devices(device_, std::make_unique<Borrowed>(clock_));
  auto used = Connect(devices, "used", "10.0.0.7", "p");
  Ask(used);
  {
    auto idle = Connect(devices, "idle", "10.0.0.8", "p");
    Ask(idle);
  }
  Pass(Devices::kIdle + std::chrono::minutes(1));
  EXPECT_EQ(devices.size(), 1u);
  ASSERT_EQ(device_.To("DELETE", kTokens).size(), 1u);
  EXPECT_EQ(device_.To("DELETE", kTokens)[0].token, "T2");
}

TEST_F(F5DevicesTest, ATokenOfAnOldPasswordIsGivenBack) {
  Devices devices(device_, std::make_unique<Borrowed>(clock_));
  {
    auto old = Connect(devices, "pair", "10.0.0.7", "old");
    Ask(old);
  }
  auto now = Connect(devices, "pair", "10.0.0.7", "new");
  Ask(now);
  Pass(std::chrono::seconds(30));
  ASSERT_EQ(device_.To("DELETE", kTokens).size(), 1u);
  EXPECT_EQ(device_.To("DELETE", kTokens)[0].token, "T1");
}

TEST_F(F5DevicesTest, TheEndGivesAllBack) {
  {
    Devices devices(device_, std::make_unique<Borrowed>(clock_));
    for (const char* host : {"10.0.0.7", "10.0.0.8"}) {
      auto to = Connect(devices, host, host, "p");
      Ask(to);
    }
  }
  EXPECT_EQ(device_.To("DELETE", kTokens).size(), 2u);
}

}  // namespace
}  // namespace certflow::providers::f5

#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "tests/controlplane/controlplane.h"
#include "tests/controlplane/daemon.h"
#include "tests/envtest/controller/replica.h"
#include "tests/peers/peer.h"

namespace certflow::envtest {

using Json = nlohmann::json;

// In every namespace that NewNamespace makes:
inline constexpr std::string_view kAdmin = "admin";
inline constexpr std::string_view kDora = "dora@example.com";    // web-team, approver and editor
inline constexpr std::string_view kEmil = "emil@example.com";    // cab, approver
inline constexpr std::string_view kFrida = "frida@example.com";  // cab, approver
inline constexpr std::string_view kErin = "erin@example.com";    // editor, may not approve
inline constexpr std::string_view kMallory = "mallory@example.com";  // approver, in no group

struct Answer {
  int code = 0;
  std::string out;
  std::string err;
  bool ok() const { return code == 0; }
};

// A real API server with crds/ and manifests/install as they are shipped, and the real program
// under its own ServiceAccount's token.
class Stage {
 public:
  // Null, with `why` set, without a control plane to start.
  static std::unique_ptr<Stage> Start(std::string* why);
  ~Stage();

  controlplane::ControlPlane& plane() { return *plane_; }
  // The replica that most tests share, with the settings of the Deployment; started when it does
  // not run.
  Replica& controller();
  // It gives its lease back.
  void StopController();
  // Where the tests' CA looks for http-01 answers, as does the controller before it asks.
  int http01_port() const { return http01_port_; }
  // One more, not started; `server` other than the API server's own goes with `ca_file`.
  std::unique_ptr<Replica> NewReplica(std::vector<std::string> args = {}, std::string server = "",
                                      std::string ca_file = "");

  // kubectl, as people use it.
  Answer Kubectl(std::vector<std::string> args, std::string_view user = kAdmin,
                 std::string input = "");
  Answer Annotate(const std::string& ns, const std::string& object, const std::string& annotation,
                  std::string_view user);
  // kubectl create of YAML, into `ns` or where it says itself; the test fails when it is refused.
  void Create(const std::string& ns, const std::string& yaml, std::string_view user = kAdmin);
  // With people's roles and, in it, the authority "corp" with its key pair.
  std::string NewNamespace(const std::string& labels = "");
  void MakeSecret(const std::string& ns, const std::string& name,
                  const std::map<std::string, std::string>& data, bool allowed = true,
                  const std::string& type = "Opaque");

  // Null where there is none. `plural` is short for the kind's resource.
  Json Get(std::string_view plural, const std::string& ns, const std::string& name);
  std::vector<Json> List(std::string_view plural, const std::string& ns);
  // The messages of all events of the namespace, one a line as "reason: note".
  std::string Events(const std::string& ns);
  // A value of a Secret, decoded; empty where there is none.
  std::string SecretValue(const std::string& ns, const std::string& name, const std::string& key);
  bool Patch(std::string_view plural, const std::string& ns, const std::string& name,
             const std::string& patch);
  void Delete(std::string_view plural, const std::string& ns, const std::string& name);

  // The run with the highest number of a workflow; null without one.
  Json NewestRun(const std::string& ns, const std::string& workflow);
  // Waits for the newest run of at least that number to satisfy `holds`; the test fails, with the
  // run's status, when that does not happen in time.
  Json AwaitRun(const std::string& ns, const std::string& workflow, const std::string& what,
                const std::function<bool(Json&)>& holds, int seconds = 40, int number = 1);
  Json AwaitState(const std::string& ns, const std::string& workflow, const std::string& state,
                  int seconds = 40, int number = 1);
  // Waits at the named gate: "renewal", "deployment" or "rollback".
  Json AwaitGate(const std::string& ns, const std::string& workflow, const std::string& gate,
                 int seconds = 40, int number = 1);

  // The CA of "corp", and a file with a fresh self-made pair for other purposes.
  const std::string& ca_pem() const { return ca_pem_; }
  const std::string& ca_key() const { return ca_key_; }
  // Text that must never be seen outside of Secrets.
  void KeepSecret(const std::string& text) { hidden_.push_back(text); }
  // Looks through logs, objects and events for what must not be there.
  void ExpectNothingLeaked();
  const test::TempFolder& folder() const { return folder_; }

 private:
  Stage() = default;
  Result<void> Install();
  bool AwaitPolicies();
  void MakeAuthorityPair();
  std::string Kubeconfig(const std::string& server, const std::string& ca_file);

  test::TempFolder folder_;
  std::unique_ptr<controlplane::ControlPlane> plane_;
  controlplane::Keeper keeper_;
  std::unique_ptr<Replica> controller_;
  std::vector<std::string> logs_;
  std::vector<std::string> hidden_;
  std::string token_, ca_pem_, ca_key_;
  const int http01_port_ = controlplane::FreePort();
  int count_ = 0;
};

// The state of a run's status, or "" for null.
std::string StateOf(const Json& run);
std::string NameOf(const Json& object);
// A condition's "status reason message"; "" where it is not there.
std::string Condition(const Json& object, std::string_view type);
// Replaces every {name} by its value.
std::string Fill(std::string text, const std::map<std::string, std::string>& values);
// One program run to its end; its standard output. The test fails when it does.
std::string RunTool(std::vector<std::string> argv, const std::string& input = "");
// SHA-256 of what an endpoint serves for a name, as `openssl x509 -fingerprint` has it in lower
// case without colons; empty when nothing answers.
std::string ServedFingerprint(const std::string& endpoint, const std::string& name);

// One stage for all tests of the program. Without the control plane's programs a test says that it
// was skipped, or fails with CERTFLOW_REQUIRE_ENVTEST=1.
class StageTest : public testing::Test {
 protected:
  void SetUp() override;
  Stage& stage() { return *stage_; }

 private:
  Stage* stage_ = nullptr;
};

// The shared controller runs, and the test has a namespace of its own.
class NamespaceTest : public StageTest {
 protected:
  void SetUp() final;
  virtual void Prepare() {}  // in the namespace, before each test
  std::string ns_;
};

}  // namespace certflow::envtest

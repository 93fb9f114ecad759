// What the schema cannot see: wrong Secrets, references and answers (R-94). Each is named in a
// condition and an event, and stops nothing else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/envtest/controller/await.h"
#include "tests/envtest/controller/stage.h"
#include "tests/envtest/controller/webhost.h"

namespace certflow::envtest {
namespace {

struct Row {
  std::string name;    // of the object
  std::string plural;  // "authorities", "targets", "channels", "workflows"
  std::string spec;    // one line of YAML
  std::string field;   // what the message has to name
};

class BadInputTest : public NamespaceTest {
 protected:
  void Prepare() override { host_.Declare(stage(), ns_); }
  std::string Target(const std::map<std::string, std::string>& other) {
    std::map<std::string, std::string> values = {{"port", std::to_string(host_.ssh_port())},
                                                 {"user", host_.peer()["user"]},
                                                 {"secret", "ssh"},
                                                 {"key", "id_ed25519"},
                                                 {"nginx", host_.peer()["nginx"]},
                                                 {"config", host_.peer()["config"]},
                                                 {"host_key", HostKey()}};
    for (const auto& [name, value] : other) values[name] = value;
    return Fill(
        "{nginx: {host: 127.0.0.1, port: {port}, user: {user}, privateKeySecretRef: {name: "
        "{secret}, key: {key}}, hostKeys: [\"{host_key}\"], nginxPath: {nginx}, configFile: "
        "{config}}}",
        values);
  }
  std::string HostKey() {
    std::string text = test::ReadFile(host_.peer().folder() / "host_key.pub");
    return text.substr(0, text.find(' ', text.find(' ') + 1));
  }
  // A pair for a Secret, made with more options of openssl req.
  std::map<std::string, std::string> Pair(std::vector<std::string> options) {
    const std::string base = stage().folder() / ("pair-" + std::to_string(++pairs_));
    std::vector<std::string> argv = {"openssl",
                                     "req",
                                     "-x509",
                                     "-newkey",
                                     "ec",
                                     "-pkeyopt",
                                     "ec_paramgen_curve:P-256",
                                     "-nodes",
                                     "-subj",
                                     "/CN=bad",
                                     "-keyout",
                                     base + ".key",
                                     "-out",
                                     base + ".crt"};
    argv.insert(argv.end(), options.begin(), options.end());
    RunTool(std::move(argv));
    return {{"tls.crt", test::ReadFile(base + ".crt")}, {"tls.key", test::ReadFile(base + ".key")}};
  }
  void MakeSecrets() {
    auto make = [&](const std::string& name, const std::map<std::string, std::string>& data) {
      stage().MakeSecret(ns_, name, data);
    };
    make("no-key", {{"tls.crt", stage().ca_pem()}});
    make("garbage", {{"tls.crt", stage().ca_pem()},
                     {"tls.key", "this is no key"},
                     {"id_ed25519", "this is no key"}});
    make("torn", {{"tls.crt", stage().ca_pem().substr(0, 200)}, {"tls.key", stage().ca_key()}});
    auto other = Pair({"-days", "5"});
    make("mismatch", {{"tls.crt", stage().ca_pem()}, {"tls.key", other["tls.key"]}});
    make("leaf", Pair({"-days", "5", "-addext", "basicConstraints=critical,CA:FALSE"}));
  }
  void Make(const Row& row) {
    static const std::map<std::string, std::string> kinds = {
        {"authorities", "CertificateAuthority"},
        {"targets", "DeploymentTarget"},
        {"channels", "NotificationChannel"},
        {"workflows", "CertificateWorkflow"}};
    stage().Create(ns_,
                   Fill("apiVersion: certflow.dev/v1alpha1\nkind: {kind}\nmetadata: {name: "
                        "\"{name}\"}\nspec: {spec}\n",
                        {{"kind", kinds.at(row.plural)}, {"spec", row.spec}, {"name", row.name}}));
  }
  void Expect(const std::vector<Row>& rows, const std::string& type, const std::string& state) {
    for (const Row& row : rows) Make(row);
    for (const Row& row : rows) {
      std::string said;
      EXPECT_TRUE(Await(
          [&] {
            said = Condition(stage().Get(row.plural, ns_, row.name), type);
            return said.starts_with(state) && said.find(row.field) != std::string::npos;
          },
          20))
          << row.name << " should name " << row.field << ": " << said;
      ExpectEvent(row.name, row.field);
    }
  }
  // An event about the object, or about a run of it, that names the field.
  void ExpectEvent(const std::string& name, const std::string& field) {
    std::string all;
    EXPECT_TRUE(Await(
        [&] {
          all.clear();
          for (const Json& event : stage().List("events", ns_)) {
            const std::string about = event["regarding"].value("name", "");
            if (about == name) all += event.value("note", "") + "\n";
          }
          return all.find(field) != std::string::npos;
        },
        15))
        << name << " has no event that names " << field << ": " << all;
  }

  Webhost host_;
  int pairs_ = 0;
};

TEST_F(BadInputTest, R94_AWrongAuthorityTargetOrChannelSaysWhatIsWrong) {
  MakeSecrets();
  auto ca = [](const std::string& secret) { return "{ca: {secretName: " + secret + "}}"; };
  auto acme = [](const std::string& server) {
    return "{acme: {server: \"" + server +
           "\", accountKeySecretRef: {name: account}, solvers: [{http01: {}}]}}";
  };
  const std::string other_key =
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO5Hp1a7wV9Yb0e2o3xq9mQ4tC6uKJrPZ8sWnD1fLgXh";
  auto mail = [](const std::string& secret, const std::string& key) {
    return "{smtp: {host: localhost, from: a@example.com, username: u, passwordSecretRef: {name: " +
           secret + ", key: " + key + "}}}";
  };
  Expect({{"ca-missing", "authorities", ca("nowhere"), "nowhere"},
          {"ca-no-key", "authorities", ca("no-key"), "tls.key"},
          {"ca-garbage", "authorities", ca("garbage"), "garbage"},
          {"ca-torn", "authorities", ca("torn"), "torn"},
          {"ca-mismatch", "authorities", ca("mismatch"), "mismatch"},
          {"ca-leaf", "authorities", ca("leaf"), "leaf"},
          {"acme-silent", "authorities", acme("https://127.0.0.1:9/dir"), "127.0.0.1:9"},
          {"acme-untrusted", "authorities", acme("https://" + host_.peer()["https"] + "/dir"),
           host_.peer()["https"]},
          {"ssh-missing", "targets", Target({{"secret", "nowhere"}}), "nowhere"},
          {"ssh-no-member", "targets", Target({{"key", "absent"}}), "absent"},
          {"ssh-garbage", "targets", Target({{"secret", "garbage"}}), "/garbage, key id_ed25519"},
          {"ssh-other-host", "targets", Target({{"host_key", other_key}}), "hostKeys"},
          {"ssh-closed", "targets", Target({{"port", "9"}}), "127.0.0.1"},
          {"no-nginx", "targets", Target({{"nginx", "/nonexistent/nginx"}}), "nginxPath"},
          {"mail-missing", "channels", mail("nowhere", "password"), "nowhere"},
          {"mail-no-member", "channels", mail("ssh", "password"), "password"}},
         "Ready", "False");
}

TEST_F(BadInputTest, R94_AWrongWorkflowStallsAndTheOthersGoOn) {
  auto workflow = [](const std::string& authority, const std::string& rest) {
    return "{certificate: {dnsNames: [shop.example.com], secretName: shop-tls}, authorities: "
           "[{name: " +
           authority + "}]" + rest + "}";
  };
  stage().Create(ns_, R"(
apiVersion: certflow.dev/v1alpha1
kind: DeploymentTarget
metadata: {name: here}
spec: {kubernetes: {secretNames: [one]}}
)");
  const std::string onto =
      ", deployment: {waves: [{name: w, targets: [{targetRef: {name: {t}}, kubernetes: "
      "{secretName: "
      "two}}]}]}";
  Expect({{"no-authority", "workflows", workflow("nobody", ""), "nobody"}}, "Stalled", "True");
  Expect({{"no-target", "workflows", workflow("corp", Fill(onto, {{"t", "nobody"}})), "nobody"}},
         "Stalled", "True");
  // What only the run finds out.
  const std::vector<Row> rows = {
      {"not-listed", "workflows", workflow("corp", Fill(onto, {{"t", "here"}})), "secretNames"},
      {"not-covered", "workflows",
       workflow("corp", ", validation: {endpoints: [\"other.example.com:443\"]}"), "dnsNames"}};
  for (const Row& row : rows) Make(row);
  for (const Row& row : rows) {
    std::string said;
    EXPECT_TRUE(Await(
        [&] {
          said = Condition(stage().Get("workflows", ns_, row.name), "Stalled");
          Json run = stage().NewestRun(ns_, row.name);
          if (!run.is_null()) said += run["status"].dump();
          return said.find(row.field) != std::string::npos;
        },
        40))
        << row.name << ": " << said;
  }
  Make({"good", "workflows", workflow("corp", ""), ""});
  stage().AwaitState(ns_, "good", "Succeeded");
}

}  // namespace
}  // namespace certflow::envtest

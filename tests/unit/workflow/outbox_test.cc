#include "controller/workflow/outbox.h"

#include <gmock/gmock.h>

#include "controller/workflow/ledger.h"
#include "tests/unit/workflow/build.h"

namespace certflow::workflow {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr std::string_view kEvents[] = {
    kEventApprovalRequested, kEventConfirmationFailed, kEventRenewalFailed, kEventDeploymentFailed,
    kEventValidationFailed,  kEventRolledBack,         kEventCompleted,     kEventExpiring};

api::NotificationRule Rule(std::string channel, std::vector<std::string> events) {
  api::NotificationRule rule;
  rule.channel = {std::move(channel), "ops"};
  rule.events = std::move(events);
  return rule;
}

api::Plan PlanWith(std::vector<api::NotificationRule> rules) {
  api::WorkflowSpec spec = SpecWithTargets(1, 1);
  spec.endpoints = {"www.example.com:443", "shop.example.com:443"};
  spec.renewal_gate = Gate({Layer("team", 2, {"dora", "emil"}, {"edge"})});
  spec.notifications = std::move(rules);
  return PlanOf(std::move(spec));
}

std::vector<std::string> Ids(const api::Run& run) {
  std::vector<std::string> out;
  for (const auto& entry : run.status.outbox) out.push_back(entry.id);
  return out;
}

// ---- Tell

// every rule that wants the event gets its own entry.
TEST(TellTest, PutsInAnEntryForEachRuleThatWantsTheEvent) {
  api::Plan plan = PlanWith({Rule("mail", {"Completed"}), Rule("other", {"RolledBack"}),
                             Rule("chat", {"RolledBack", "Completed"})});
  api::Run run = MakeRun();
  Tell(plan, run, kEventCompleted, "");
  EXPECT_THAT(Ids(run), ElementsAre("st-0b6c4befb1.Completed.0", "st-0b6c4befb1.Completed.2"));
  EXPECT_EQ(run.status.outbox[1].channel, (api::Reference{"chat", "ops"}));
  EXPECT_EQ(run.status.outbox[1].rule, 2);
  EXPECT_EQ(run.status.outbox[1].event, "Completed");
  EXPECT_EQ(run.status.outbox[1].state, api::OutboxState::kPending);
}

TEST(TellTest, TellsTheSameOnce) {
  api::Plan plan = PlanWith({Rule("mail", {"ApprovalRequested"})});
  api::Run run = MakeRun();
  for (const char* part : {"renewal", "renewal", "deployment", "renewal"}) {
    Tell(plan, run, kEventApprovalRequested, part);
    run.status.outbox[0].state = api::OutboxState::kSent;
  }
  EXPECT_THAT(Ids(run), ElementsAre("st-0b6c4befb1.ApprovalRequested.renewal.0",
                                    "st-0b6c4befb1.ApprovalRequested.deployment.0"));
}

TEST(TellTest, NobodyIsToldWhatNobodyWants) {
  api::Run run = MakeRun();
  Tell(PlanWith({}), run, kEventCompleted, "");
  Tell(PlanWith({Rule("mail", {"RolledBack"})}), run, kEventCompleted, "");
  EXPECT_THAT(run.status.outbox, IsEmpty());
}

// a full outbox is not an error; what is in it stays.
TEST(TellTest, TheOutboxIsBounded) {
  api::Plan plan = PlanWith({Rule("mail", {"RenewalFailed"})});
  api::Run run = MakeRun();
  for (std::size_t i = 0; i < api::kMaxOutbox + 5; ++i) {
    Tell(plan, run, kEventRenewalFailed, std::to_string(i));
  }
  ASSERT_EQ(run.status.outbox.size(), api::kMaxOutbox);
  EXPECT_EQ(run.status.outbox.front().id, "st-0b6c4befb1.RenewalFailed.0.0");
  EXPECT_EQ(run.status.outbox.back().id, "st-0b6c4befb1.RenewalFailed.99.0");
}

// ---- RenderTemplate

struct TemplateCase {
  const char* name;
  const char* text;
  const char* rendered;
};

const std::map<std::string, std::string> kFields = {
    {"a", "1"}, {"a.b", "2"}, {"empty", ""}, {"braces", "{{ .a }}"}, {"open", "{{"}};

TEST(RenderTemplateTest, ReplacesFields) {
  const TemplateCase cases[] = {
      {"no field", "plain", "plain"},
      {"empty", "", ""},
      {"one", "x{{ .a }}y", "x1y"},
      {"without blanks", "{{.a.b}}", "2"},
      {"with many", "{{    .a.b    }}", "2"},
      {"twice", "{{ .a }}{{ .a }}", "11"},
      {"nothing in it", "<{{ .empty }}>", "<>"},
      {"single braces", "{ .a } }} {", "{ .a } }} {"},
      {"line breaks stay", "{{ .a }}\n{{ .a.b }}\n", "1\n2\n"},
      {"a value is not rendered again", "{{ .braces }}", "{{ .a }}"},
      {"a value opens nothing", "{{ .open }} .a }}", "{{ .a }}"},
      {"a brace behind", "{{ .a }}}", "1}"},
  };
  for (const TemplateCase& c : cases) {
    auto rendered = RenderTemplate(c.text, kFields);
    ASSERT_TRUE(rendered.ok()) << c.name << ": " << rendered.error().message;
    EXPECT_EQ(*rendered, c.rendered) << c.name;
  }
}

TEST(RenderTemplateTest, RefusesWhatItDoesNotKnow) {
  const TemplateCase cases[] = {
      {"unknown field", "{{ .secret }}", "there is no field \".secret\""},
      {"no dot", "{{ a }}", "there is no field \"a\""},
      {"nothing", "{{ }}", "there is no field \"\""},
      {"nothing at all", "{{}}", "there is no field \"\""},
      {"a dot alone", "{{ . }}", "there is no field \".\""},
      {"two dots", "{{ ..a }}", "there is no field \"..a\""},
      {"a function", "{{ .a | upper }}", "there is no field \".a | upper\""},
      {"a statement", "{{ if .a }}x{{ end }}", "there is no field \"if .a\""},
      {"nested", "{{ {{ .a }} }}", "there is no field \"{{ .a\""},
      {"three braces", "{{{ .a }}}", "there is no field \"{ .a\""},
      {"a line break inside", "{{\n.a }}", "there is no field \"?.a\""},
      {"not closed", "x {{ .a", "a \"{{\" is not closed"},
      {"the second is not closed", "{{ .a }} {{ .a }", "a \"{{\" is not closed"},
      {"opened at the end", "x {{", "a \"{{\" is not closed"},
  };
  for (const TemplateCase& c : cases) {
    auto rendered = RenderTemplate(c.text, kFields);
    ASSERT_FALSE(rendered.ok()) << c.name;
    EXPECT_EQ(rendered.error().reason, "TemplateInvalid") << c.name;
    EXPECT_THAT(rendered.error().message, HasSubstr(c.rendered)) << c.name;
  }
}

TEST(RenderTemplateTest, AnUnknownFieldIsQuotedShort) {
  auto rendered = RenderTemplate("{{ ." + std::string(3000, 'x') + " }}", kFields);
  ASSERT_FALSE(rendered.ok());
  EXPECT_LT(rendered.error().message.size(), 200U);
}

// ---- RenderMail

api::Run WaitingRun(const api::Plan& plan) {
  api::Run run = MakeRun();
  run.status.ledger = MakeLedger(plan);
  run.status.ledger[0].state = api::EntryState::kDone;
  run.status.until = At("2026-11-26T02:00:00Z");
  run.status.previous.emplace();
  run.status.previous->fingerprint = "aa11";
  run.status.previous->not_after = At("2026-12-01T00:00:00Z");
  return run;
}

RenderedMail MailOf(const api::Run& run, const api::Plan& plan, std::string_view event) {
  api::OutboxEntry entry;
  entry.event = event;
  return RenderMail(run, plan, entry);
}

// each event has a subject and a text, at the run's start and at its end.
TEST(RenderMailTest, TheBuiltInTextsRenderForEachEvent) {
  api::Plan plan = PlanWith({Rule("mail", {})});
  api::Run ended = WaitingRun(plan);
  ended.status.state = api::RunState::kSucceeded;
  ended.status.certificate = ended.status.previous;
  for (auto& entry : ended.status.ledger) entry.state = api::EntryState::kDone;
  for (const api::Run& run : {MakeRun(), WaitingRun(plan), ended}) {
    for (std::string_view event : kEvents) {
      RenderedMail mail = MailOf(run, plan, event);
      EXPECT_EQ(mail.problem, "") << event;
      EXPECT_EQ(mail.subject,
                "[certflow] " + std::string(event) + ": www.example.com (ST-0b6c4befb1)");
      EXPECT_THAT(mail.body, HasSubstr("Run ST-0b6c4befb1 of workflow web/www")) << event;
      EXPECT_THAT(mail.body, Not(HasSubstr("{{"))) << event;
    }
  }
}

// after a rollback what the run issued is not what is in use, so no mail calls it the
// present one.
TEST(RenderMailTest, AnOutcomeTellsTheRunsCertificateFromTheOneBefore) {
  api::Plan plan = PlanWith({Rule("mail", {})});
  api::Run run = WaitingRun(plan);
  run.status.state = api::RunState::kRolledBack;
  run.status.certificate.emplace();
  run.status.certificate->fingerprint = "bb22";
  std::string body = MailOf(run, plan, kEventRolledBack).body;
  EXPECT_THAT(body, HasSubstr("Certificate of this run: bb22 valid until"));
  EXPECT_THAT(body, HasSubstr("Before this run: aa11 valid until 2026-12-01T00:00:00Z"));
  EXPECT_THAT(body, Not(HasSubstr("Now:")));
  EXPECT_THAT(MailOf(MakeRun(), plan, kEventRenewalFailed).body,
              HasSubstr("Before this run: none valid until none"));
}

// the request says what will change, who may decide, until when and by which command.
TEST(RenderMailTest, AnApprovalRequestSaysWhatIsAskedAndHowToAnswer) {
  api::Plan plan = PlanWith({Rule("mail", {})});
  RenderedMail mail = MailOf(WaitingRun(plan), plan, kEventApprovalRequested);
  for (const char* part :
       {"asked for: renewal, layer team (2 of user dora user emil group edge), until "
        "2026-11-26T02:00:00Z",
        "from: aa11 valid until 2026-12-01T00:00:00Z", "a certificate of internal",
        "0-secret (kubernetes), 1-host-0 (nginx)", "www.example.com:443, shop.example.com:443",
        "sha256:0123456789abcdef",
        "kubectl annotate workflowrun -n web st-0b6c4befb1 certflow.dev/approve='renewal by",
        "certflow.dev/reject='renewal by", "Why: Threshold", "Environment: production",
        "Owner: edge edge@example.com", "names: www.example.com, shop.example.com"}) {
    EXPECT_THAT(mail.body, HasSubstr(part));
  }
}

struct GateCase {
  const char* name;
  void (*change)(api::Plan&, api::Run&);
  const char* gate;
  const char* layer;
};

void CloseAll(api::Run& run) {
  for (auto& entry : run.status.ledger) entry.state = api::EntryState::kDone;
}

TEST(TemplateFieldsTest, TheGateIsTheOneThatWaits) {
  const GateCase cases[] = {
      {"renewal", [](api::Plan&, api::Run&) {}, "renewal", "team"},
      {"deployment",
       [](api::Plan& plan, api::Run& run) {
         plan.spec.deployment_gate = Gate({Layer("ops", 1, {"dora"})});
         run.status.ledger = MakeLedger(plan);
         run.status.ledger[1].state = api::EntryState::kDone;
       },
       "deployment", "ops"},
      {"rollback",
       [](api::Plan& plan, api::Run& run) {
         plan.spec.rollback = api::RollbackPolicy::kManual;
         CloseAll(run);
         api::LedgerEntry entry;
         entry.step = kStepRollbackConfirmation;
         entry.state = api::EntryState::kIntended;
         run.status.ledger.push_back(entry);
       },
       "rollback", "operator"},
      {"none", [](api::Plan&, api::Run& run) { CloseAll(run); }, "", ""},
  };
  for (const GateCase& c : cases) {
    api::Plan plan = PlanWith({});
    api::Run run = WaitingRun(plan);
    c.change(plan, run);
    auto fields = TemplateFields(run, plan, kEventApprovalRequested);
    EXPECT_EQ(fields["approval.gate"], c.gate) << c.name;
    EXPECT_EQ(fields["approval.layer"], c.layer) << c.name;
    EXPECT_EQ(fields["approval.approveCommand"].empty(), *c.gate == 0) << c.name;
  }
}

TEST(TemplateFieldsTest, TheCommonNameIsTheFirstNameWhereThereIsNone) {
  api::Plan plan = PlanWith({});
  EXPECT_EQ(TemplateFields(MakeRun(), plan, "")["certificate.commonName"], "www.example.com");
  plan.spec.common_name = "shop.example.com";
  EXPECT_EQ(TemplateFields(MakeRun(), plan, "")["certificate.commonName"], "shop.example.com");
}

// who approves sees where it will be proved, wherever the workflow says it.
TEST(TemplateFieldsTest, EndpointsAreThoseOfTheWavesAndThoseOfAll) {
  api::Plan plan = PlanWith({});
  plan.spec.waves.push_back(plan.spec.waves.front());
  plan.spec.waves[0].endpoints = {"10.0.0.7:443"};
  plan.spec.waves[1].endpoints = {"10.0.0.8:443", "10.0.0.7:443"};
  EXPECT_EQ(TemplateFields(MakeRun(), plan, "")["endpoints"],
            "10.0.0.7:443, 10.0.0.8:443, www.example.com:443, shop.example.com:443");
}

// a mail about a failure is sent before the run has ended, and says what failed.
TEST(TemplateFieldsTest, TheMessageIsWhatFailedUntilTheRunHasEnded) {
  api::Plan plan = PlanWith({});
  api::Run run = MakeRun();
  run.status.ledger = MakeLedger(plan);
  EXPECT_EQ(TemplateFields(run, plan, kEventDeploymentFailed)["run.message"], "");
  for (api::LedgerEntry& entry : run.status.ledger) {
    if (entry.target != "0/1-host-0") continue;
    entry.state = api::EntryState::kFailed;
    entry.message = "the server's configuration is broken";
  }
  EXPECT_EQ(TemplateFields(run, plan, kEventDeploymentFailed)["run.message"],
            "Deployment of 0/1-host-0: the server's configuration is broken");
  run.status.message = "it is over";
  EXPECT_EQ(TemplateFields(run, plan, kEventRolledBack)["run.message"], "it is over");
}

// What comes from outside cannot put a line of its own into a mail.
TEST(TemplateFieldsTest, AValueIsOneLine) {
  api::Plan plan = PlanWith({});
  plan.spec.owner_team = "edge\nApprove:\n  rm -rf /";
  api::Run run = MakeRun();
  run.status.message = "no\r\nBcc: all@example.com";
  for (const auto& [name, value] : TemplateFields(run, plan, kEventCompleted)) {
    EXPECT_EQ(value.find_first_of("\r\n"), std::string::npos) << name;
  }
}

//
TEST(TemplateFieldsTest, TargetsAreListedWaveByWave) {
  const api::Plan plan = PlanOf(SpecWithTargets(2, 2));
  EXPECT_EQ(TemplateFields(MakeRun(), plan, kEventCompleted).at("targets"),
            "wave-0: 0-secret (kubernetes), 1-host-0 (nginx), 2-host-1 (nginx); "
            "wave-1: 0-host-0 (nginx), 1-host-1 (nginx)");
}

// own subject and text by event.
TEST(RenderMailTest, AnOwnTemplateIsUsedForItsEventAlone) {
  api::NotificationRule rule = Rule("mail", {"Completed", "RolledBack"});
  rule.subject["Completed"] = "{{ .run.name }} is done";
  rule.body["RolledBack"] = "{{ .run.state }}: {{ .targets }}";
  api::Plan plan = PlanWith({rule});
  api::Run run = MakeRun();
  RenderedMail completed = MailOf(run, plan, kEventCompleted);
  EXPECT_EQ(completed.subject, "ST-0b6c4befb1 is done");
  EXPECT_THAT(completed.body, HasSubstr("Proved at:"));
  RenderedMail back = MailOf(run, plan, kEventRolledBack);
  EXPECT_THAT(back.subject, HasSubstr("[certflow] RolledBack"));
  EXPECT_EQ(back.body, "Pending: 0-secret (kubernetes), 1-host-0 (nginx)");
}

// a broken template does not hold the mail up; it is said what is wrong with it.
TEST(RenderMailTest, ABrokenOwnTemplateFallsBackAndSaysSo) {
  api::NotificationRule rule = Rule("mail", {"Completed"});
  rule.subject["Completed"] = "{{ .secret }}";
  api::Plan plan = PlanWith({rule});
  RenderedMail mail = MailOf(MakeRun(), plan, kEventCompleted);
  EXPECT_THAT(mail.subject, HasSubstr("[certflow] Completed"));
  EXPECT_THAT(mail.problem, HasSubstr("the default subject was used: there is no field"));
  plan.spec.notifications[0].subject.clear();
  plan.spec.notifications[0].body["Completed"] = "{{ .run.name";
  mail = MailOf(MakeRun(), plan, kEventCompleted);
  EXPECT_THAT(mail.body, HasSubstr("Run ST-0b6c4befb1 of workflow"));
  EXPECT_THAT(mail.problem, HasSubstr("the default body was used: a \"{{\" is not closed"));
}

TEST(RenderMailTest, ARuleThatThePlanDoesNotHaveUsesTheBuiltInTexts) {
  api::Plan plan = PlanWith({Rule("mail", {})});
  plan.spec.notifications[0].subject["Completed"] = "own";
  for (int rule : {-1, 1, 99}) {
    api::OutboxEntry entry;
    entry.event = kEventCompleted;
    entry.rule = rule;
    EXPECT_THAT(RenderMail(MakeRun(), plan, entry).subject, HasSubstr("[certflow] Completed"));
  }
}

}  // namespace
}  // namespace certflow::workflow

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "controller/api/run.h"
#include "tests/unit/api/samples.h"

namespace certflow::api {
namespace {

using Json = nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

api::Run Stored(const api::Run& run) {
  auto again = DecodeRun(Doc(StoredRunJson(run)));
  EXPECT_TRUE(again.ok()) << (again.ok() ? "" : again.error().message);
  return again.ok() ? std::move(*again) : api::Run{};
}

TEST(RunCodecTest, DecodesWhatItWrote) {
  const api::Run run = FullRun();
  const api::Run again = Stored(run);
  EXPECT_EQ(EncodeRunStatus(again), EncodeRunStatus(run));
  EXPECT_EQ(again.status.ledger[0].memo, run.status.ledger[0].memo);
  EXPECT_EQ(again.status.ledger[0].not_before, run.status.ledger[0].not_before);
  EXPECT_EQ(again.status.outbox[0].channel, (Reference{"mail", "ops"}));
  EXPECT_TRUE(again.status.approvals[0].approved);
  EXPECT_FALSE(again.status.approvals[1].approved);
  EXPECT_TRUE(again.status.evidence[0].passed);
  EXPECT_FALSE(again.status.evidence[1].passed);
  EXPECT_EQ(again.status.previous->version, "st-0123456789");
}

// R-13: who and what caused the run stays with it.
TEST(RunCodecTest, DecodesANewRun) {
  const api::Run run = FullRun();
  EXPECT_EQ(run.meta.name, "st-0b6c4befb1");
  EXPECT_EQ(run.DisplayName(), "ST-0b6c4befb1");
  EXPECT_EQ(run.workflow_name, "www");
  EXPECT_EQ(run.number, 13);
  EXPECT_EQ(run.trigger.reason, TriggerReason::kRequested);
  EXPECT_EQ(run.trigger.urgency, Urgency::kEmergency);
  EXPECT_EQ(run.trigger.requested_by, "dora");
  EXPECT_EQ(run.trigger.payload, "now by dora");
  EXPECT_EQ(run.runbook_version, kRunbookVersion);
  EXPECT_EQ(run.meta.owner_name, "www");
  EXPECT_EQ(run.meta.owner_uid, run.workflow_uid);
  EXPECT_TRUE(run.meta.has_run_finalizer);
  EXPECT_EQ(run.plan_digest, PlanDigest(run.plan_json));
}

TEST(RunCodecTest, ANewRunIsOwnedLabelledAndAFinalizerIsAList) {
  NewRun made = FullNewRun();
  Json body = Json::parse(EncodeNewRun(made));
  ASSERT_TRUE(body["metadata"]["ownerReferences"].is_array());
  EXPECT_EQ(body["metadata"]["ownerReferences"].size(), 1U);
  EXPECT_EQ(body["metadata"]["ownerReferences"][0]["controller"], true);
  EXPECT_EQ(body["metadata"]["labels"]["certflow.dev/workflow-uid"], made.workflow_uid);
  EXPECT_EQ(body["metadata"]["finalizers"], Json::array({"certflow.dev/run"}));
  made.finalizer = false;
  made.trigger = {};
  body = Json::parse(EncodeNewRun(made));
  EXPECT_FALSE(body["metadata"].contains("finalizers"));
  EXPECT_EQ(body["spec"]["trigger"], (Json{{"reason", "FirstIssue"}, {"urgency", "Normal"}}));
}

TEST(RunCodecTest, AFreshRunIsPendingAndOwnedByNobodyElse) {
  Json document = Json::parse(EncodeNewRun(FullNewRun()));
  document["metadata"]["ownerReferences"] = Json::array(
      {Json{{"name", "other"}, {"uid", "1"}}, Json{{"name", "no"}, {"controller", false}}});
  document["metadata"]["deletionTimestamp"] = "2026-11-21T02:00:00Z";
  document["metadata"]["finalizers"] = Json::array({"foregroundDeletion"});
  auto run = DecodeRun(Doc(document.dump()));
  ASSERT_TRUE(run.ok());
  EXPECT_EQ(run->status.state, RunState::kPending);
  EXPECT_EQ(run->meta.owner_name, "");
  EXPECT_TRUE(run->meta.deleting);
  EXPECT_FALSE(run->meta.has_run_finalizer);
}

TEST(RunCodecTest, MetadataOfAnUnexpectedShapeIsLeftOutAndNotThrown) {
  for (const char* metadata : {"7", "[]", R"({"ownerReferences": [{"controller": "yes"}]})",
                               R"({"ownerReferences": [{"controller": true, "name": 7}]})",
                               R"({"ownerReferences": {}, "finalizers": 7, "annotations": []})"}) {
    Json document = Json::parse(EncodeNewRun(FullNewRun()));
    document["metadata"] = Json::parse(metadata);
    auto run = DecodeRun(Doc(document.dump()));
    ASSERT_TRUE(run.ok()) << metadata;
    EXPECT_EQ(run->meta.owner_name, "") << metadata;
  }
}

struct WrongCase {
  const char* pointer;
  const char* value;
  const char* says;
};

TEST(RunCodecTest, AWrongShapeNamesItsField) {
  const WrongCase cases[] = {
      {"/status/state", R"("Dancing")", "status.state must be one of the values"},
      {"/status/ledger", R"("all")", "status.ledger must be a list"},
      {"/status/ledger/0/state", R"("Lost")", "status.ledger[0].state must be one of"},
      {"/status/ledger/0/attempts", R"("two")", "status.ledger[0].attempts must be an integer"},
      {"/status/ledger/0/memo", R"(["a"])", "status.ledger[0].memo must be a map of strings"},
      {"/status/checks/0", "7", "status.checks[0] must be an object"},
      {"/status/approvals/0/groups", R"("edge")",
       "status.approvals[0].groups must be a list of strings"},
      {"/status/refusals/0/time", R"("now")", "status.refusals[0].time must be an RFC 3339 time"},
      {"/status/evidence/0/wave", R"("1")", "status.evidence[0].wave must be an integer"},
      {"/status/outbox/0/state", R"("Lost")", "status.outbox[0].state must be one of the values"},
      {"/status/challenges/0/token", "7", "status.challenges[0].token must be a string"},
      {"/status/previousCertificate", R"("old")", "status.previousCertificate must be an object"},
      {"/spec/number", R"("13")", "spec.number must be an integer"},
      {"/spec/workflowRef", R"("www")", "spec.workflowRef must be an object"},
      {"/spec/trigger/reason", R"("Whim")", "spec.trigger.reason must be one of the values"},
  };
  for (const WrongCase& c : cases) {
    Json document = Json::parse(StoredRunJson(FullRun()));
    document[Json::json_pointer(c.pointer)] = Json::parse(c.value);
    auto run = DecodeRun(Doc(document.dump()));
    ASSERT_FALSE(run.ok()) << c.pointer;
    EXPECT_THAT(run.error().message, HasSubstr(c.says));
    EXPECT_EQ(run.error().message.find('s'), 0U) << "the path starts at the object";
  }
}

TEST(RunCodecTest, AnOutboxChannelWithoutNamespaceIsNoReference) {
  api::Run run = FullRun();
  Json document = Json::parse(StoredRunJson(run));
  document["status"]["outbox"][0]["channel"] = "mail";
  auto again = DecodeRun(Doc(document.dump()));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->status.outbox[0].channel, Reference{});
}

TEST(RunCodecTest, AChallengeNeedsNoDomain) {
  api::Run run = FullRun();
  run.status.challenges = {{"", "token", "token.thumbprint"}};
  Json body = Json::parse(EncodeRunStatus(run));
  EXPECT_FALSE(body["status"]["challenges"][0].contains("domain"));
}

// Fills each list with `count` of what FullRun has, the last one marked.
template <typename T>
void Fill(std::vector<T>& list, std::size_t count) {
  T first = list.front();
  list.assign(count, first);
}

TEST(RunCodecTest, ListsAreKeptUpToTheirLimitAndLoseTheOldestBeyond) {
  struct Bound {
    const char* name;
    std::size_t limit;
  };
  const Bound bounds[] = {{"ledger", kMaxLedger},        {"checks", kMaxChecks},
                          {"approvals", kMaxDecisions},  {"refusals", kMaxRefusals},
                          {"evidence", kMaxEvidence},    {"outbox", kMaxOutbox},
                          {"challenges", kMaxChallenges}};
  for (std::size_t beyond : {0U, 1U}) {
    api::Run run = FullRun();
    Fill(run.status.ledger, kMaxLedger + beyond);
    Fill(run.status.checks, kMaxChecks + beyond);
    Fill(run.status.approvals, kMaxDecisions + beyond);
    Fill(run.status.refusals, kMaxRefusals + beyond);
    Fill(run.status.evidence, kMaxEvidence + beyond);
    Fill(run.status.outbox, kMaxOutbox + beyond);
    Fill(run.status.challenges, kMaxChallenges + beyond);
    run.status.ledger.front().id = "oldest";
    run.status.ledger.back().id = "newest";
    Json status = Json::parse(EncodeRunStatus(run))["status"];
    for (const Bound& bound : bounds) EXPECT_EQ(status[bound.name].size(), bound.limit);
    EXPECT_EQ(status["ledger"].front()["id"] == "oldest", beyond == 0);
    EXPECT_EQ(status["ledger"].back()["id"], "newest");
  }
}

TEST(RunStateTest, EndedStatesAreTerminal) {
  const std::pair<RunState, bool> cases[] = {
      {RunState::kPending, false},  {RunState::kRunning, false},  {RunState::kWaiting, false},
      {RunState::kSucceeded, true}, {RunState::kFailed, true},    {RunState::kRolledBack, true},
      {RunState::kHeld, true},      {RunState::kCancelled, true},
  };
  for (const auto& [state, terminal] : cases) {
    EXPECT_EQ(IsTerminal(state), terminal) << RunStateName(state);
  }
}

// ---- Compact

api::Run EndedRun() {
  api::Run run = FullRun();
  run.meta.has_run_finalizer = false;
  run.status.state = RunState::kFailed;
  run.status.outbox[0].state = OutboxState::kSent;
  run.meta.annotations = {{"certflow.dev/approve", "renewal by dora"}};
  return run;
}

TEST(CompactTest, AnEndedRunKeepsItsHead) {
  api::Run run = EndedRun();
  Compact(run);
  EXPECT_EQ(run.plan_json, "");
  EXPECT_TRUE(run.status.ledger.empty() && run.status.checks.empty());
  EXPECT_TRUE(run.status.approvals.empty() && run.status.refusals.empty());
  EXPECT_TRUE(run.status.evidence.empty() && run.status.outbox.empty());
  EXPECT_TRUE(run.status.conditions.empty() && run.meta.annotations.empty());
  EXPECT_FALSE(run.status.previous.has_value());
  EXPECT_EQ(run.status.state, RunState::kFailed);
  EXPECT_EQ(run.status.reason, "Unavailable");
  EXPECT_EQ(run.status.message, "no answer");
  EXPECT_EQ(run.status.ended_at, At("2026-11-21T02:59:00Z"));
  EXPECT_EQ(run.status.certificate->fingerprint, "9f86d081884c7d65") << "the workflow folds it in";
  EXPECT_EQ(run.plan_digest, FullRun().plan_digest);
  EXPECT_EQ(run.number, 13);
}

// R-12: what a run was for is known after its plan was dropped, and after a second Compact.
TEST(CompactTest, WhatTheRunWasForOutlivesItsPlan) {
  api::Run run = EndedRun();
  const std::string wanted = WantedDigest(FullSpecJson());
  EXPECT_EQ(WantedDigestOf(run), wanted);
  Compact(run);
  EXPECT_EQ(WantedDigestOf(run), wanted);
  Compact(run);
  EXPECT_EQ(WantedDigestOf(run), wanted);
}

struct OwesCase {
  const char* name;
  void (*change)(api::Run&);
};

// R-74: a notification that is still to be sent outlives the run's end.
TEST(CompactTest, ARunThatOwesSomethingIsKeptWhole) {
  const OwesCase cases[] = {
      {"still running", [](api::Run& r) { r.status.state = RunState::kRunning; }},
      {"a mail is to be sent",
       [](api::Run& r) { r.status.outbox[0].state = OutboxState::kPending; }},
      {"a finalizer is to be removed", [](api::Run& r) { r.meta.has_run_finalizer = true; }},
      {"a decision has no answer",
       [](api::Run& r) { r.meta.annotations["certflow.dev/reject.2"] = "renewal by emil"; }},
      {"an approval on record is no answer to a rejection",
       [](api::Run& r) { r.meta.annotations = {{"certflow.dev/reject", "renewal by dora"}}; }},
  };
  for (const OwesCase& c : cases) {
    api::Run run = EndedRun();
    c.change(run);
    Compact(run);
    EXPECT_FALSE(run.plan_json.empty()) << c.name;
    EXPECT_EQ(run.status.ledger.size(), 1U) << c.name;
  }
}

TEST(CompactTest, OtherAnnotationsAskForNothing) {
  api::Run run = EndedRun();
  run.meta.annotations["certflow.dev/approved"] = "x";
  run.meta.annotations["certflow.dev/note"] = "x";
  Compact(run);
  EXPECT_EQ(run.plan_json, "");
}

// ---- decisions in annotations and in status

TEST(DecisionRecordTest, AnnotationsOfDecisionsHaveOptionalSuffixes) {
  const std::pair<const char*, DecisionKind> cases[] = {
      {"certflow.dev/approve", DecisionKind::kApprove},
      {"certflow.dev/approve.2", DecisionKind::kApprove},
      {"certflow.dev/approve.", DecisionKind::kApprove},
      {"certflow.dev/reject", DecisionKind::kReject},
      {"certflow.dev/reject.emil", DecisionKind::kReject},
      {"certflow.dev/approved", DecisionKind::kNone},
      {"certflow.dev/approve-2", DecisionKind::kNone},
      {"certflow.dev/renew", DecisionKind::kNone},
      {"example.com/approve", DecisionKind::kNone},
      {"", DecisionKind::kNone},
  };
  for (const auto& [annotation, kind] : cases) {
    EXPECT_EQ(DecisionKindOf(annotation), kind) << annotation;
  }
}

// R-32: what was counted is found again by its text, its place and its kind.
TEST(DecisionRecordTest, ADecisionIsRecordedOnceForItsPlaceAndKind) {
  RunStatus status;
  Decision approval;
  approval.source = DecisionSource("renewal by dora", false);
  status.approvals = {approval};
  EXPECT_TRUE(IsDecisionRecorded(status, DecisionKind::kApprove, approval.source));
  EXPECT_FALSE(IsDecisionRecorded(status, DecisionKind::kReject, approval.source))
      << "who approved may still reject";
  EXPECT_FALSE(
      IsDecisionRecorded(status, DecisionKind::kApprove, DecisionSource("renewal by dora", true)))
      << "written on the workflow it is another one";
  status.refusals = {{WallTime{}, DecisionSource("nonsense", true), "", "malformed"}};
  EXPECT_TRUE(IsDecisionRecorded(status, DecisionKind::kApprove, "workflow: nonsense"));
  EXPECT_TRUE(IsDecisionRecorded(status, DecisionKind::kReject, "workflow: nonsense"));
}

TEST(DecisionRecordTest, ASourceIsBoundedAndPrintable) {
  EXPECT_EQ(DecisionSource("a\nb", false), "a?b");
  EXPECT_EQ(DecisionSource(std::string(512, 'x'), false).size(), 512U);
  EXPECT_EQ(DecisionSource(std::string(5000, 'x'), false).size(), 512U);
}

}  // namespace
}  // namespace certflow::api

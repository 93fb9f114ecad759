#include "controller/pki/key.h"
#include "tests/contract/issuer/issuer_world.h"

namespace certflow::contract {
namespace {

using pki::KeyAlgorithm;
using pki::PrivateKey;

class IssuerContract : public testing::TestWithParam<std::unique_ptr<IssuerWorld> (*)()> {
 protected:
  IssuerContract() : world_(GetParam()()) {}
  Connect connect() {
    return [this] { return world_->Connect(); };
  }
  std::unique_ptr<IssuerWorld> world_;
};

// every key type that a workflow may ask for.
TEST_P(IssuerContract, EveryKeyTypeGetsItsCertificate) {
  const pki::KeySpec specs[] = {{KeyAlgorithm::kEcdsa, 256},
                                {KeyAlgorithm::kEcdsa, 384},
                                {KeyAlgorithm::kRsa, 2048},
                                {KeyAlgorithm::kRsa, 3072},
                                {KeyAlgorithm::kRsa, 4096}};
  for (const pki::KeySpec& spec : specs) {
    SCOPED_TRACE(pki::KeySpecName(spec));
    const PrivateKey key = PrivateKey::Generate(spec).value();
    const std::string name = world_->Name("key");
    const seams::IssueRequest what{"st-1", {name, {name}}, key};
    const Outcome outcome = Drive(connect(), what);
    ASSERT_TRUE(outcome.issued) << outcome.error->message;
    ExpectGood(*outcome.issued, what);
  }
}

TEST_P(IssuerContract, SeveralNamesAndNoCommonName) {
  const PrivateKey key = PrivateKey::Generate({}).value();
  const seams::IssueRequest what{
      "st-1", {"", {world_->Name("a"), world_->Name("b"), world_->Name("c")}}, key};
  const Outcome outcome = Drive(connect(), what);
  ASSERT_TRUE(outcome.issued) << outcome.error->message;
  ExpectGood(*outcome.issued, what);
  EXPECT_TRUE(world_->Connect()->Cleanup(RealContext(), what, outcome.memo).ok());
}

TEST_P(IssuerContract, TheFirstLookAsksForAnAction) {
  const PrivateKey key = PrivateKey::Generate({}).value();
  const seams::IssueRequest what{"st-1", {"", {world_->Name("first")}}, key};
  const auto seen = world_->Connect()->Observe(RealContext(), what, {});
  ASSERT_TRUE(seen.ok()) << seen.error().message;
  EXPECT_TRUE(std::holds_alternative<seams::IssueNeedsAction>(*seen));
}

TEST_P(IssuerContract, TheMemoStaysBoundedAndHoldsNoKey) {
  const PrivateKey key = PrivateKey::Generate({}).value();
  const seams::IssueRequest what{"st-1", {"", {world_->Name("memo")}}, key};
  const Outcome outcome = Drive(connect(), what);
  ASSERT_TRUE(outcome.issued) << outcome.error->message;
  EXPECT_LE(outcome.memo.size(), seams::kMaxMemoEntries);
  for (const auto& [name, value] : outcome.memo) {
    EXPECT_LE(value.size(), seams::kMaxMemoValue) << name;
    EXPECT_EQ(value.find("PRIVATE"), std::string::npos) << name;
  }
}

TEST_P(IssuerContract, ANameThatIsNoneIsRefusedForGood) {
  const PrivateKey key = PrivateKey::Generate({}).value();
  const seams::IssueRequest what{"st-1", {"", {"not a name"}}, key};
  const Outcome outcome = Drive(connect(), what);
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code, ErrorCode::kInvalid) << outcome.error->message;
  EXPECT_EQ(outcome.error->retry, Retry::kNever);
}

TEST_P(IssuerContract, CleanupMayBeRepeatedAndMayComeFirst) {
  const PrivateKey key = PrivateKey::Generate({}).value();
  const seams::IssueRequest what{"st-1", {"", {world_->Name("clean")}}, key};
  EXPECT_TRUE(world_->Connect()->Cleanup(RealContext(), what, {}).ok());
  const Outcome outcome = Drive(connect(), what);
  ASSERT_TRUE(outcome.issued) << outcome.error->message;
  for (int i = 0; i < 2; ++i) {
    const auto done = world_->Connect()->Cleanup(RealContext(), what, outcome.memo);
    EXPECT_TRUE(done.ok()) << done.error().message;
  }
}

std::string WorldName(const testing::TestParamInfo<std::unique_ptr<IssuerWorld> (*)()>& info) {
  return info.index == 0 ? "Ca" : "AcmeOnPebble";
}
INSTANTIATE_TEST_SUITE_P(Issuers, IssuerContract, testing::Values(&MakeCaWorld, &MakeAcmeWorld),
                         WorldName);

}  // namespace
}  // namespace certflow::contract

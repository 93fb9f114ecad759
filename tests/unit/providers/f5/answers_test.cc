#include "providers/targets/f5/answers.h"

#include <gtest/gtest.h>

#include <random>

#include "providers/targets/f5/faults.h"

namespace certflow::providers::f5 {
namespace {

constexpr const char* kProfile =
    R"({"kind":"tm:ltm:profile:client-ssl:client-sslstate","name":"www",
 "fullPath":"/Common/www","serverName":"none","inheritCertkeychain":"false",
 "certKeyChain":[{"name":"a","appService":"none","cert":"/Common/a.crt","chain":"none","key":"/Common/a.key"},
                 {"name":"b","cert":"/Common/b.crt","chain":"/Common/c.crt","key":"/Common/b.key","passphrase":"$M$x"}]})";

TEST(F5AnswersTest, AProfileTellsItsCertificates) {
  const auto profile = ParseClientProfile(kProfile);
  ASSERT_TRUE(profile.has_value());
  EXPECT_EQ(profile->path, "/Common/www");
  EXPECT_EQ(profile->server_name, "");
  ASSERT_EQ(profile->entries.size(), 2u);
  EXPECT_EQ(profile->entries[0], (ChainEntry{"a", "/Common/a.crt", "/Common/a.key", "", false}));
  EXPECT_TRUE(profile->entries[1].passphrase);
  EXPECT_FALSE(ParseServerProfile(kProfile)) << "another kind";
}

TEST(F5AnswersTest, AServerSideProfileHasOneOrNone) {
  const std::string head =
      R"({"kind":"tm:ltm:profile:server-ssl:server-sslstate","fullPath":"/Common/s",)";
  EXPECT_TRUE(
      ParseServerProfile(head + R"("cert":"none","key":"none","chain":"none"})")->entries.empty());
  EXPECT_EQ(ParseServerProfile(head + R"("cert":"/Common/a.crt","key":"/Common/a.key"})")
                ->entries.at(0)
                .cert,
            "/Common/a.crt");
}

TEST(F5AnswersTest, ATransactionsNumberIsNoDouble) {
  const auto begun = ParseTransaction(R"({"transId":1508382989073727,"state":"STARTED"})");
  ASSERT_TRUE(begun.has_value());
  EXPECT_EQ(begun->id, 1508382989073727);
  EXPECT_FALSE(ParseTransaction(R"({"transId":1.5e15})"));
}

TEST(F5AnswersTest, ALoginTellsTokenAndLife) {
  const auto login = ParseLogin(
      R"({"username":"svc","token":{"token":"3UCPWZW66ZHOR6BUMVW56F6Q6K","timeout":1200}})");
  ASSERT_TRUE(login.has_value());
  EXPECT_EQ(login->token.Reveal(), "3UCPWZW66ZHOR6BUMVW56F6Q6K");
  EXPECT_EQ(login->life, std::chrono::minutes(20));
  EXPECT_FALSE(ParseLogin(R"({"token":{"token":"a/../b","timeout":1200}})")) << "goes into a path";
  EXPECT_FALSE(ParseLogin(R"({"token":{"token":"a\r\nX: y","timeout":1200}})"));
  EXPECT_FALSE(ParseLogin(R"({"token":{"token":"","timeout":1200}})"));
}

constexpr const char* kSync = R"({"kind":"tm:cm:sync-status:sync-statusstats","entries":{
 "https://localhost/mgmt/tm/cm/sync-status/0":{"nestedStats":{"entries":{
  "color":{"description":"yellow"},"mode":{"description":"high-availability"},
  "status":{"description":"Changes Pending"},"summary":{"description":" "},
  "https://localhost/mgmt/tm/cm/syncStatus/0/details":{"nestedStats":{"entries":{
   "https://localhost/mgmt/tm/cm/syncStatus/0/details/0":{"nestedStats":{"entries":{
     "details":{"description":"bigip2.example.com: connected"}}}},
   "https://localhost/mgmt/tm/cm/syncStatus/0/details/1":{"nestedStats":{"entries":{
     "details":{"description":"gtm (Changes Pending): There is a possible change conflict."}}}}}}}}}}}})";

// The status stands for all groups of the device; another one's changes are not ours to wait for.
TEST(F5AnswersTest, TheStatusOfOneGroupIsToldFromItsLine) {
  const auto sync = ParseSyncStatus(kSync);
  ASSERT_TRUE(sync.has_value());
  EXPECT_EQ(sync->status, "Changes Pending");
  EXPECT_EQ(StatusOfGroup(*sync, "/Common/gtm"), "Changes Pending");
  EXPECT_EQ(StatusOfGroup(*sync, "/Common/dg"), "In Sync");
  SyncStatus plain{"high-availability", "Changes Pending", {"bigip2.example.com: connected"}};
  EXPECT_EQ(StatusOfGroup(plain, "/Common/dg"), "Changes Pending") << "no line names a group";
}

TEST(F5AnswersTest, AVirtualServerTellsAddressAndProfiles) {
  const auto read = [](const std::string& destination) {
    return *ParseVirtualServer(
        R"({"kind":"tm:ltm:virtual:virtualstate","fullPath":"/Common/vs","destination":")" +
        destination +
        R"(","profilesReference":{"items":[{"fullPath":"/Common/www","nameReference":{"link":
        "https://localhost/mgmt/tm/ltm/profile/client-ssl/~Common~www?ver=12.1.2"}}]}})");
  };
  EXPECT_EQ(read("/Common/10.10.10.10:443").address, "10.10.10.10");
  EXPECT_EQ(read("/Common/10.10.10.10%1:443").address, "10.10.10.10");
  EXPECT_EQ(read("/Common/2001:db8::1.8443").address, "2001:db8::1");
  EXPECT_EQ(read("/Common/2001:db8::1.8443").port, 8443);
  EXPECT_EQ(read("/Common/10.10.10.10:any").port, 0);
  EXPECT_EQ(read("/Common/10.10.10.10:443").profiles.at(0).kind, "client-ssl");
}

TEST(F5AnswersTest, AFingerprintIsReadWhereThereIsOne) {
  std::string colons = "SHA256/3A";
  for (int i = 0; i < 31; ++i) colons += ":0F";
  const auto file = ParseFileObject(R"({"fullPath":"/Common/a.crt","fingerprint":")" + colons +
                                    R"(","checksum":"SHA1:1:x","keyType":"rsa-public"})");
  ASSERT_TRUE(file.has_value());
  EXPECT_EQ(file->fingerprint.substr(0, 6), "3a0f0f");
  EXPECT_EQ(ParseFileObject(R"({"fullPath":"/Common/a.crt"})")->fingerprint, "") << "13.0";
}

TEST(F5AnswersTest, AnEmptyCollectionMayHaveNoItems) {
  const auto files = ParseFileObjects(R"({"kind":"tm:sys:file:ssl-key:ssl-keycollectionstate"})");
  ASSERT_TRUE(files.has_value());
  EXPECT_TRUE(files->empty());
  EXPECT_FALSE(ParseFileObjects(R"({"code":200})"));
}

// Nothing that a device sends ends the process or is taken for an answer.
TEST(F5AnswersTest, AnyTextIsSurvived) {
  std::mt19937 random(20240607);
  const std::string seeds[] = {kProfile, kSync, R"({"transId":1,"state":"COMPLETED"})"};
  for (int i = 0; i < 6000; ++i) {
    std::string text = seeds[random() % 3];
    for (int j = 0; j < 4; ++j) text[random() % text.size()] = static_cast<char>(random());
    text.resize(random() % (text.size() + 1));
    (void)ParseLogin(text);
    (void)ParseTokenLife(text);
    (void)ParseDevices(text);
    (void)ParseDeviceGroups(text);
    (void)ParseSyncStatus(text);
    (void)ParseVirtualServer(text);
    (void)ParseVirtualServers(text);
    (void)ParseClientProfile(text);
    (void)ParseServerProfile(text);
    (void)ParseFileObject(text);
    (void)ParseFileObjects(text);
    (void)ParseTransaction(text);
    (void)ParseCommandResult(text);
    (void)ParseFault(text);
  }
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += R"({"entries":)";
  EXPECT_FALSE(ParseSyncStatus(deep));
}

struct FaultCase {
  const char* name;
  int status;
  const char* body;
  ErrorCode read_code;
  ErrorCode write_code;
  const char* reason;
  Retry retry;
};

// The table of facts about error bodies, told apart by status and codes.
TEST(F5FaultsTest, EveryAnswerHasOneMeaning) {
  using enum ErrorCode;
  const FaultCase cases[] = {
      {"config lock", 503,
       R"({"code":503,"message":"There is an active asynchronous task executing.","apiError":32964609})",
       kUnavailable, kUnavailable, "DeviceBusy", Retry::kAfter},
      {"restart", 503, "<html>Configuration Utility restarting...</html>", kUnavailable,
       kUnavailable, "DeviceRestarting", Retry::kAfter},
      {"worker down", 404,
       R"({"code":404,"message":"Public URI path not registered","restOperationId":1,"kind":":resterrorresponse"})",
       kUnavailable, kUnavailable, "ServiceNotReady", Retry::kAfter},
      {"worker down, without a kind", 404,
       R"({"code":404,"message":"URI path /mgmt/tm/x not registered.  Please verify URI"})",
       kUnavailable, kUnavailable, "ServiceNotReady", Retry::kAfter},
      {"absent by mcpd", 404,
       R"({"code":404,"message":"01020036:3: The requested Certificate File (/Common/x.crt) was not found.","errorStack":[],"apiError":3})",
       kNotFound, kNotFound, "ObjectMissing", Retry::kNever},
      {"absent by icrd", 404,
       R"({"code":404,"message":"Object not found - /Common/x","errorStack":[],"apiError":1})",
       kNotFound, kNotFound, "ObjectMissing", Retry::kNever},
      {"mcpd lost", 500,
       R"({"code":500,"message":"The connection to mcpd has been lost, try again.","apiError":32768001})",
       kUnavailable, kUnknownOutcome, "", Retry::kBackoff},
      {"icrd down", 400,
       R"({"code":400,"message":"java.net.ConnectException: Connection refused","kind":":resterrorresponse"})",
       kUnavailable, kUnavailable, "DeviceRestarting", Retry::kAfter},
      {"timeout behind", 400,
       R"({"code":400,"message":"java.util.concurrent.TimeoutException: remoteSender:1.2.3.4, method:POST ","kind":":resterrorresponse"})",
       kTimeout, kUnknownOutcome, "DeviceTimeout", Retry::kBackoff},
      {"Jetty's timeout", 500, "<html>AsyncContext timeout</html>", kTimeout, kUnknownOutcome,
       "DeviceTimeout", Retry::kBackoff},
      {"gateway timeout", 504, "", kTimeout, kUnknownOutcome, "DeviceTimeout", Retry::kBackoff},
      {"exists", 409,
       R"({"code":409,"message":"01020066:3: The requested Certificate File (/Common/x.crt) already exists in partition Common.","apiError":3})",
       kAlreadyExists, kAlreadyExists, "ObjectExists", Retry::kNever},
      {"in use", 400,
       R"({"code":400,"message":"01071349:3: File object by name (/Common/x.crt) is in use.","apiError":3})",
       kRefused, kRefused, "ObjectInUse", Retry::kNever},
      {"missing file object, in a transaction", 400,
       R"({"code":400,"message":"transaction failed:0107134a:3: File object by name (x.crt) is missing.","apiError":2})",
       kNotFound, kNotFound, "VersionMissing", Retry::kNever},
      {"mismatch in a transaction", 400,
       R"({"code":400,"message":"transaction failed:01070317:3: profile /Common/p's key and certificate do not match","apiError":2})",
       kRefused, kRefused, "DeviceRefused", Retry::kNever},
      {"upload gone", 400,
       R"({"code":400,"message":"Failed! exit_code (37).\n","errorStack":[],"apiError":26214401})",
       kConflict, kConflict, "UploadMissing", Retry::kBackoff},
      {"role", 401,
       R"({"code":401,"message":"Authorization failed: user=https://localhost/mgmt/shared/authz/users/x resource=/mgmt/shared/file-transfer/uploads/X verb=POST","kind":":resterrorresponse"})",
       kForbidden, kForbidden, "RoleTooLow", Retry::kNever},
      {"another web server", 200, "<html>hello</html>", kUnavailable, kUnavailable,
       "AnswerUnreadable", Retry::kBackoff},
      {"a page with 404", 404, "<html>nginx</html>", kUnavailable, kUnavailable, "ServiceNotReady",
       Retry::kAfter},
  };
  for (const FaultCase& c : cases) {
    const net::HttpResponse response{c.status, {}, c.body};
    const Error read = ErrorOfAnswer(response, {true, false});
    const Error write = ErrorOfAnswer(response, {false, false});
    EXPECT_EQ(read.code, c.read_code) << c.name << ": " << read.message;
    EXPECT_EQ(write.code, c.write_code) << c.name << ": " << write.message;
    if (*c.reason != '\0') {
      EXPECT_EQ(read.reason, c.reason) << c.name;
      EXPECT_EQ(write.reason, c.reason) << c.name;
      EXPECT_EQ(read.retry, c.retry) << c.name;
    }
  }
}

TEST(F5FaultsTest, NothingThatWasSentIsRepeated) {
  const std::string secret = "-----BEGIN PRIVATE KEY-----MIIabc";
  for (const std::string& body :
       {R"({"code":400,"message":"bad chunk )" + secret + R"(","kind":":resterrorresponse"})",
        R"({"code":400,"message":"x","originalRequestBody":")" + secret + R"("})",
        R"({"code":400,"message":"01070000:3: )" + secret + R"(","apiError":3})",
        "<html>" + secret + "</html>"}) {
    for (const int status : {400, 401, 404, 409, 500, 503}) {
      const net::HttpResponse response{status, {}, body};
      EXPECT_EQ(ErrorOfAnswer(response, {false, true}).message.find("PRIVATE"), std::string::npos);
      EXPECT_EQ(ErrorOfLogin(response).message.find("PRIVATE"), std::string::npos);
    }
  }
  const net::HttpResponse coded{
      400, {}, R"({"code":400,"message":"010717e3:3: must have RSA\ncertificate","apiError":3})"};
  const std::string told = ErrorOfAnswer(coded, {false, false}).message;
  EXPECT_NE(told.find("must have RSA?certificate"), std::string::npos) << told;
}

TEST(F5FaultsTest, TheLimitOfTokensIsWaitedForAndNotLoggedInAgainst) {
  const net::HttpResponse full{
      400,
      {},
      R"({"code":400,"message":"user 290107b2 has reached maximum active login tokens","kind":":resterrorresponse"})"};
  EXPECT_EQ(ErrorOfLogin(full).reason, "TokenLimit");
  EXPECT_EQ(ErrorOfLogin(full).retry, Retry::kAfter);
  const net::HttpResponse wrong{401, {}, R"({"code":401,"message":"Authentication failed."})"};
  EXPECT_EQ(ErrorOfLogin(wrong).reason, "LoginRefused");
  EXPECT_EQ(ErrorOfLogin(wrong).retry, Retry::kNever);
}

}  // namespace
}  // namespace certflow::providers::f5

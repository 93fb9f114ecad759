#include "controller/kube/answer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "controller/kube/document_json.h"
#include "controller/kube/url.h"
#include "controller/kube/watch_stream.h"

namespace certflow::kube {
namespace {

std::string Status(int code, const std::string& reason, const std::string& message) {
  return nlohmann::json{
      {"kind", "Status"}, {"reason", reason}, {"message", message}, {"code", code}}
      .dump();
}

struct Case {
  const char* name;
  bool write;
  int code;
  std::string body;
  ErrorCode expected;
  const char* reason;
};

TEST(AnswerErrorTest, CodeAndReasonDecideTheClass) {
  const Case cases[] = {
      {"bad request", true, 400, Status(400, "BadRequest", "x"), ErrorCode::kInvalid, "BadRequest"},
      {"unauthorized", false, 401, "", ErrorCode::kUnauthorized, "Http401"},
      {"forbidden", true, 403, Status(403, "Forbidden", "x"), ErrorCode::kForbidden, "Forbidden"},
      {"object missing", false, 404, Status(404, "NotFound", "x"), ErrorCode::kNotFound,
       "NotFound"},
      {"API missing", false, 404, "404 page not found", ErrorCode::kNotFound, "ApiNotServed"},
      {"name taken", true, 409, Status(409, "AlreadyExists", "x"), ErrorCode::kAlreadyExists,
       "AlreadyExists"},
      {"lost update", true, 409, Status(409, "Conflict", "x"), ErrorCode::kConflict, "Conflict"},
      {"too old", false, 410, Status(410, "Gone", "x"), ErrorCode::kExpired, "Gone"},
      {"too large", true, 413, "<html>", ErrorCode::kInvalid, "Http413"},
      {"invalid", true, 422, Status(422, "Invalid", "x"), ErrorCode::kInvalid, "Invalid"},
      {"overload as text", true, 429, "Too many requests", ErrorCode::kRateLimited,
       "TooManyRequests"},
      {"storage timeout on a write", true, 500, Status(500, "", "etcdserver: request timed out"),
       ErrorCode::kUnknownOutcome, "Http500"},
      {"storage timeout on a read", false, 500, Status(500, "", "etcdserver: request timed out"),
       ErrorCode::kUnavailable, "Http500"},
      {"too large for etcd", true, 500, Status(500, "", "etcdserver: request is too large"),
       ErrorCode::kInvalid, "Http500"},
      {"webhook", true, 500, Status(500, "InternalError", "failed calling webhook: timeout"),
       ErrorCode::kUnavailable, "InternalError"},
      {"proxy on a write", true, 502, "<html>bad gateway", ErrorCode::kUnknownOutcome, "Http502"},
      {"starting", true, 503, "", ErrorCode::kUnavailable, "Http503"},
      {"lost write", true, 504, Status(504, "Timeout", "x"), ErrorCode::kUnknownOutcome, "Timeout"},
      {"slow read", false, 504, Status(504, "Timeout", "x"), ErrorCode::kUnavailable, "Timeout"},
  };
  for (const Case& c : cases) {
    const Error error = AnswerError(c.write, c.code, {}, c.body);
    EXPECT_EQ(ErrorCodeName(error.code), ErrorCodeName(c.expected)) << c.name;
    EXPECT_EQ(error.reason, c.reason) << c.name;
  }
}

TEST(AnswerErrorTest, RetryAfterComesFromHeaderOrStatus) {
  Error error = AnswerError(false, 429, {{"retry-after", "7"}}, "slow down");
  EXPECT_EQ(error.retry, Retry::kAfter);
  EXPECT_EQ(error.retry_after, Duration{7'000});
  error = AnswerError(false, 500, {},
                      R"({"reason":"ServerTimeout","details":{"retryAfterSeconds":2}})");
  EXPECT_EQ(error.retry_after, Duration{2'000});
  error = AnswerError(false, 429, {{"retry-after", "99999999"}}, "");
  EXPECT_LE(*error.retry_after, Duration{3'600'000});
  error = AnswerError(false, 503, {{"retry-after", "Fri, 31 Dec 1999 23:59:59 GMT"}}, "");
  EXPECT_FALSE(error.retry_after);
}

TEST(AnswerErrorTest, TextFromOutsideIsCutAndCleaned) {
  const Error error = AnswerError(false, 502, {}, "<html>\n\x01" + std::string(5000, 'x'));
  EXPECT_LT(error.message.size(), 400u);
  EXPECT_EQ(error.message.find('\n'), std::string::npos);
}

TEST(AnswerErrorTest, HostileStatusIsNoTrouble) {
  for (const char* body :
       {R"({"reason":7,"details":[],"message":{}})", R"({"details":{"causes":[1,{}]}})", "{",
        R"({"details":{"causes":{}}})", "[]"}) {
    EXPECT_EQ(AnswerError(false, 403, {}, body).code, ErrorCode::kForbidden) << body;
  }
}

const Resource kRuns{"certflow.dev", "v1alpha1", "workflowruns", "WorkflowRun", true};

TEST(UrlTest, PathsFollowGroupNamespaceAndSubresource) {
  EXPECT_EQ(*CollectionPath(kRuns, ""), "/apis/certflow.dev/v1alpha1/workflowruns");
  EXPECT_EQ(*ObjectPath(kRuns, {"prod", "st-1"}, "status"),
            "/apis/certflow.dev/v1alpha1/namespaces/prod/workflowruns/st-1/status");
  const Resource roles{"rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", false};
  EXPECT_EQ(*ObjectPath(roles, {"", "system:basic-user"}),
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Abasic-user");
  EXPECT_EQ(*CollectionPath({"", "v1", "secrets", "Secret", true}, "a"),
            "/api/v1/namespaces/a/secrets");
}

TEST(UrlTest, SegmentsThatLeadElsewhereAreRefused) {
  for (const std::string& name :
       {std::string(".."), std::string("."), std::string(), std::string("a/../b"),
        std::string("a%2e"), std::string("a\0b", 3), std::string(254, 'a')}) {
    EXPECT_FALSE(ObjectPath(kRuns, {"ns", name}).ok()) << name;
    EXPECT_FALSE(ObjectPath(kRuns, {name, "n"}).ok()) << name;
  }
  EXPECT_TRUE(ObjectPath(kRuns, {"ns", std::string(253, 'a')}).ok());
}

TEST(UrlTest, QueryValuesAreEncoded) {
  EXPECT_EQ(Query().Add("labelSelector", "a in (b,c)&x").Add("empty", "").Add("limit", "5").text(),
            "?labelSelector=a%20in%20%28b%2Cc%29%26x&limit=5");
}

std::vector<std::string> Lines(const std::vector<std::string>& chunks) {
  LineSplitter splitter;
  std::vector<std::string> lines;
  for (const std::string& chunk : chunks) {
    EXPECT_TRUE(splitter
                    .Feed(chunk,
                          [&](std::string_view line) -> Result<void> {
                            lines.emplace_back(line);
                            return {};
                          })
                    .ok());
  }
  return lines;
}

TEST(LineSplitterTest, LinesDoNotDependOnTheChunks) {
  const std::string text = "one\ntwo\n\nthree\n";
  const std::vector<std::string> expected{"one", "two", "three"};
  EXPECT_EQ(Lines({text}), expected);
  for (std::size_t size = 1; size < text.size(); ++size) {
    std::vector<std::string> chunks;
    for (std::size_t at = 0; at < text.size(); at += size) chunks.push_back(text.substr(at, size));
    EXPECT_EQ(Lines(chunks), expected) << size;
  }
}

TEST(LineSplitterTest, LineAtTheLimitPassesAndOneAboveDoesNot) {
  const auto ignore = [](std::string_view) -> Result<void> { return {}; };
  const std::string half(LineSplitter::kMaxLineBytes / 2, 'x');
  LineSplitter exact;
  EXPECT_TRUE(exact.Feed(half, ignore).ok());
  EXPECT_TRUE(exact.Feed(half + "\n", ignore).ok());
  EXPECT_FALSE(exact.InLine());
  LineSplitter above;
  EXPECT_TRUE(above.Feed(half, ignore).ok());
  EXPECT_EQ(above.Feed(half + "x", ignore).error().reason, "WatchLineTooLong");
}

TEST(WatchLineTest, ErrorsBookmarksAndNonsenseAreToldApart) {
  auto expired = DecodeWatchLine(
      R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}})");
  ASSERT_FALSE(expired.ok());
  EXPECT_EQ(expired.error().code, ErrorCode::kExpired);
  auto mark = DecodeWatchLine(
      R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9","annotations":{"k8s.io/initial-events-end":"true"}}}})");
  ASSERT_TRUE(mark.ok());
  EXPECT_TRUE(mark->initial_events_end);
  EXPECT_EQ(mark->object.resource_version(), "9");
  for (const char* line : {"", "{", "[]", R"({"type":"ADDED"})", R"({"type":"ADDED","object":7})",
                           R"({"type":"NEW","object":{}})", R"({"type":1,"object":{}})"}) {
    auto event = DecodeWatchLine(line);
    ASSERT_FALSE(event.ok()) << line;
    EXPECT_EQ(event.error().reason, "BrokenStream") << line;
  }
}

TEST(WatchLineTest, WhoWroteWhichFieldIsLeftOut) {
  const auto cut = [](std::string_view line) { return WithoutManagedFields(line); };
  const std::string plain = R"({"type":"ADDED","object":{"metadata":{"name":"n","uid":"u"}}})";
  for (
      const char* line :
      {R"({"type":"ADDED","object":{"metadata":{"name":"n","managedFields":[{"f:a":{"]":"}"}}],"uid":"u"}}})",
       R"({"type":"ADDED","object":{"metadata":{"name":"n","uid":"u","managedFields":[]}}})",
       R"({"type":"ADDED","object":{"metadata":{"managedFields":[[],"\"],"],"name":"n","uid":"u"}}})"}) {
    EXPECT_EQ(cut(line), plain) << line;
  }
  EXPECT_EQ(cut(plain), plain);
  // Elsewhere it is somebody's own word.
  for (
      const char* line :
      {R"({"object":{"spec":{"managedFields":[1]},"metadata":{"a":{"managedFields":[1]}}}})",
       R"({"object":{"metadata":{"name":"\"managedFields\":[1]"}},"metadata":{"managedFields":[1]}})",
       R"({"object":{"kind":"metadata","spec":{"managedFields":[1]}}})"}) {
    EXPECT_EQ(cut(line), line);
  }
  for (const char* line : {"", "\"", R"({"object":{"metadata":{"managedFields":[)",
                           R"({"object":{"metadata":{"managedFields":[{"a":"b)"}) {
    EXPECT_FALSE(DecodeWatchLine(line).ok()) << line;
  }
}

TEST(DocumentTest, DepthIsBounded) {
  const auto nested = [](int depth) {
    return std::string("{\"a\":") + std::string(depth, '[') + std::string(depth, ']') + "}";
  };
  EXPECT_TRUE(ParseDocument(nested(127)).ok());
  EXPECT_FALSE(ParseDocument(nested(128)).ok());
  EXPECT_FALSE(ParseDocument(nested(1'000'000)).ok());
  EXPECT_TRUE(ParseDocument("{\"a\":\"" + std::string(1000, '[') + "\\\"\"}").ok());
}

TEST(DocumentTest, OnlyObjectsAreDocuments) {
  for (const char* text : {"", "[]", "null", "1", "{", "{}x", "\"a\""}) {
    EXPECT_FALSE(ParseDocument(text).ok()) << text;
  }
  auto document = ParseDocument(R"({"metadata":{"name":"n","uid":7}})");
  ASSERT_TRUE(document.ok());
  EXPECT_EQ(document->name(), "n");
  EXPECT_EQ(document->uid(), "");
}

TEST(DocumentTest, DumpNeverThrows) { EXPECT_FALSE(Dump({{"a", "\xff\xfe"}}).empty()); }

}  // namespace
}  // namespace certflow::kube

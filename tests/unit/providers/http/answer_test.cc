#include "providers/http/answer.h"

#include <gtest/gtest.h>

namespace certflow::providers::http {
namespace {

std::string At(std::string_view body, std::string_view pointer) {
  const auto answer = Answer::Parse(body);
  if (!answer.ok()) return "(" + answer.error().reason + ")";
  const auto parsed = Pointer::Parse(pointer);
  if (!parsed.ok()) return "(" + parsed.error().reason + ")";
  return answer->Text(*parsed).value_or("(nowhere)");
}

// The document of RFC 6901 section 5, but for its member that is not text.
constexpr const char* kRfc =
    R"({"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8})";

TEST(PointerTest, FollowsRfc6901) {
  EXPECT_EQ(At(kRfc, "/foo"), R"(["bar","baz"])");
  EXPECT_EQ(At(kRfc, "/foo/0"), "bar");
  EXPECT_EQ(At(kRfc, "/"), "0");
  EXPECT_EQ(At(kRfc, "/a~1b"), "1");
  EXPECT_EQ(At(kRfc, "/c%d"), "2");
  EXPECT_EQ(At(kRfc, "/e^f"), "3");
  EXPECT_EQ(At(kRfc, "/i\\j"), "5");
  EXPECT_EQ(At(kRfc, "/k\"l"), "6");
  EXPECT_EQ(At(kRfc, "/ "), "7");
  EXPECT_EQ(At(kRfc, "/m~0n"), "8");
  EXPECT_EQ(At("\"all\"", ""), "all");
}

TEST(PointerTest, PointsNowhereWithoutAnError) {
  for (const char* pointer : {"/foo/2", "/foo/01", "/foo/-", "/foo/bar", "/foo/0/x", "/none",
                              "/foo/18446744073709551616"}) {
    EXPECT_EQ(At(kRfc, pointer), "(nowhere)") << pointer;
  }
  EXPECT_EQ(At(R"({"a": null})", "/a"), "(nowhere)");
  EXPECT_EQ(At("", "/a"), "(nowhere)");
}

TEST(PointerTest, FaultsAreTold) {
  for (const char* pointer : {"a", "/~", "/~2"}) {
    EXPECT_EQ(At("{}", pointer), "(PointerInvalid)") << pointer;
  }
  std::string deep;
  for (std::size_t i = 0; i < kMaxPointerTokens; ++i) deep += "/a";
  EXPECT_EQ(At("{}", deep), "(nowhere)");
  EXPECT_EQ(At("{}", deep + "/a"), "(PointerInvalid)");
}

TEST(PointerTest, AnElementIsFoundByAMember) {
  constexpr const char* kTags =
      R"({"Tags": [{"Key": "Name", "Value": "x"}, {"Key": "certflow", "Value": "st-1"}]})";
  EXPECT_EQ(At(kTags, "/Tags/Key=certflow/Value"), "st-1");
  EXPECT_EQ(At(kTags, "/Tags/Key=other/Value"), "(nowhere)");
}

constexpr const char* kXml =
    "<?xml version='1.0'?><R xmlns='http://x/'><L><member><Arn>a1</Arn></member>"
    "<member><Arn>a2</Arn><N>t&amp;u</N></member></L><job id='7'>FIN<![CDATA[!]]></job></R>";

TEST(AnswerTest, XmlIsReadByElements) {
  EXPECT_EQ(At(kXml, "/R/L/member/Arn"), "a1");
  EXPECT_EQ(At(kXml, "/R/L/member/1/Arn"), "a2");
  EXPECT_EQ(At(kXml, "/R/L/member/1/N"), "t&u");
  EXPECT_EQ(At(kXml, "/R/L/member/2/Arn"), "(nowhere)");
  EXPECT_EQ(At(kXml, "/R/job"), "FIN!");
  EXPECT_EQ(At(kXml, "/R/job/@id"), "7");
  EXPECT_EQ(At(kXml, "/R/none"), "(nowhere)");
  const auto answer = Answer::Parse(kXml);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->List(*Pointer::Parse("/R/L/member")).size(), 2u);
  EXPECT_EQ(answer->List(*Pointer::Parse("/R/L/member"))[1].Text(*Pointer::Parse("/Arn")), "a2");
}

TEST(AnswerTest, NothingOutsideTheTextIsRead) {
  constexpr const char* kEntity =
      "<!DOCTYPE r [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><r>&e;</r>";
  EXPECT_EQ(At(kEntity, "/r"), "&e;");
}

TEST(AnswerTest, WhatCannotBeReadIsRefused) {
  EXPECT_EQ(At("{\"a\":", "/a"), "(AnswerUnreadable)");
  EXPECT_EQ(At("<a><b></a>", "/a"), "(AnswerUnreadable)");
  EXPECT_EQ(At("plain", ""), "(AnswerUnreadable)");
  EXPECT_EQ(At(std::string(64, '[') + std::string(64, ']'), ""),
            std::string(64, '[') + std::string(64, ']'));
  EXPECT_EQ(At(std::string(65, '[') + std::string(65, ']'), ""), "(AnswerUnreadable)");
  std::string deep;
  for (int i = 0; i < 70; ++i) deep += "<a>";
  for (int i = 0; i < 70; ++i) deep += "</a>";
  EXPECT_EQ(At(deep, "/a"), "(AnswerUnreadable)");
  EXPECT_EQ(At("\"" + std::string(kMaxAnswerBytes, 'x') + "\"", ""), "(AnswerUnreadable)");
}

}  // namespace
}  // namespace certflow::providers::http

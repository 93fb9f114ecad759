#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "controller/pki/certificate.h"

namespace certflow::pki {
namespace {

TEST(CheckDnsNameTest, AcceptsWhatMayGoIntoACertificate) {
  const std::string label(63, 'a');
  for (const std::string& name :
       {std::string("localhost"), std::string("a.example"), std::string("*.a.example"),
        std::string("xn--bcher-kva.example"), std::string("1.a.example"), std::string("a-b.c-d"),
        std::string("3com.example1"), label + ".example",
        label + "." + label + "." + label + "." + std::string(61, 'b')}) {
    const auto checked = CheckDnsName(name);
    EXPECT_TRUE(checked.ok()) << name << ": " << checked.error().message;
  }
}

TEST(CheckDnsNameTest, RefusesInjectionsAndMalformedNames) {
  const std::string label(63, 'a');
  for (const std::string& name : {std::string(),
                                  std::string("a.example,email:x"),
                                  std::string("a.example,DNS:b.example"),
                                  std::string("a.example\nDNS:b"),
                                  std::string("a.example\0.evil.example", 23),
                                  std::string("A.example"),
                                  std::string("a..example"),
                                  std::string(".a"),
                                  std::string("a."),
                                  std::string("-a.example"),
                                  std::string("a-.example"),
                                  std::string("*"),
                                  std::string("*."),
                                  std::string("a.*.example"),
                                  std::string("*a.example"),
                                  std::string("**.example"),
                                  std::string("*.*.example"),
                                  std::string("a b.example"),
                                  std::string("a_b.example"),
                                  std::string("b\xc3\xbc.example"),
                                  std::string("192.0.2.7"),
                                  std::string("1"),
                                  std::string("2001:db8::1"),
                                  std::string("DNS:a"),
                                  std::string("a/../b"),
                                  std::string("$(id).example"),
                                  label + "a.example",
                                  label + "." + label + "." + label + "." + std::string(62, 'b')}) {
    const auto checked = CheckDnsName(name);
    ASSERT_FALSE(checked.ok()) << name;
    EXPECT_EQ(checked.error().code, ErrorCode::kInvalid);
    EXPECT_EQ(checked.error().message.find('\n'), std::string::npos);
    EXPECT_LT(checked.error().message.size(), 256U);
  }
}

TEST(NameCoversTest, WildcardStandsForOneLeftmostLabel) {
  struct Case {
    std::vector<std::string> names;
    std::string name;
    bool covered;
    const char* why;
  };
  const std::vector<Case> cases = {
      {{"a.example"}, "a.example", true, "same"},
      {{"b.example", "A.Example"}, "a.eXample", true, "case is ignored"},
      {{"*.a.example"}, "x.a.example", true, "one label"},
      {{"*.a.example"}, "x.y.a.example", false, "two labels"},
      {{"*.a.example"}, "a.example", false, "no label"},
      {{"*.a.example"}, ".a.example", false, "an empty label"},
      {{"*.a.example"}, "*.a.example", true, "the wildcard itself"},
      {{"x.a.example"}, "*.a.example", false, "a wildcard needs a wildcard"},
      {{"*.example"}, "a.example", false, "a wildcard over a top-level domain"},
      {{"f*.a.example"}, "foo.a.example", false, "a partial wildcard"},
      {{"a.*.example"}, "a.b.example", false, "a wildcard inside"},
      {{"*"}, "localhost", false, "a bare wildcard"},
      {{""}, "", false, "nothing covers nothing"},
      {{}, "a.example", false, "no names"},
      {{"a.example"}, "a.example.evil.example", false, "a prefix is not enough"},
      {{"*.a.example"}, "xa.example", false, "a suffix without its dot"},
  };
  for (const Case& c : cases) EXPECT_EQ(NameCovers(c.names, c.name), c.covered) << c.why;
}

}  // namespace
}  // namespace certflow::pki

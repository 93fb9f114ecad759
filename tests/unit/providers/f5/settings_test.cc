#include "providers/targets/f5/settings.h"

#include <gtest/gtest.h>

#include "providers/targets/f5/names.h"

namespace certflow::providers::f5 {
namespace {

const std::string kPin(43, 'A');

std::string Device(const std::string& more) {
  return R"({"hosts":["10.0.0.7","[2001:db8::8]:8443"],"username":"u","tls":{"publicKeyPins":[")" +
         kPin + "=\"]}" + more + "}";
}

TEST(F5SettingsTest, DefaultsAreThoseOfTheSchema) {
  const auto settings = ParseDeviceSettings(Device(""));
  ASSERT_TRUE(settings.ok()) << settings.error().message;
  EXPECT_EQ(settings->hosts.at(0).port, 443);
  EXPECT_EQ(settings->hosts.at(1).host, "2001:db8::8");
  EXPECT_EQ(settings->hosts.at(1).port, 8443);
  EXPECT_EQ(settings->login_provider, "tmos");
  EXPECT_EQ(settings->partition, "Common");
  EXPECT_EQ(settings->keep, 1);
  EXPECT_TRUE(settings->sync);
  EXPECT_FALSE(settings->push_pending);
}

struct WrongCase {
  const char* reason;
  const char* json;
  const char* names;  // what the message says
};

TEST(F5SettingsTest, WhatIsWrongIsSaid) {
  const WrongCase cases[] = {
      {"no JSON", "{", ""},
      {"no host", R"({"hosts":[],"tls":{"caBundle":"x"}})", "hosts"},
      {"three hosts", R"({"hosts":["a","b","c"],"tls":{"caBundle":"x"}})", "hosts"},
      {"a URL", R"({"hosts":["https://a"],"tls":{"caBundle":"x"}})", "hosts"},
      {"no trust", R"({"hosts":["a"],"tls":{}})", "tls"},
      {"trust twice", R"({"hosts":["a"],"tls":{"caBundle":"x","publicKeyPins":["y"]}})", "tls"},
      {"a bundle of nothing", R"({"hosts":["a"],"tls":{"caBundle":"x"}})", "tls.caBundle"},
      {"a short pin", R"({"hosts":["a"],"tls":{"publicKeyPins":["AAAA"]}})", "tls.publicKeyPins"},
  };
  for (const WrongCase& c : cases) {
    const auto settings = ParseDeviceSettings(c.json);
    ASSERT_FALSE(settings.ok()) << c.reason;
    EXPECT_EQ(settings.error().code, ErrorCode::kInvalid) << c.reason;
    EXPECT_NE(settings.error().message.find(c.names), std::string::npos)
        << c.reason << ": " << settings.error().message;
  }
  EXPECT_FALSE(ParseDeviceSettings(Device(R"(,"partition":"a/b/c")")).ok());
  EXPECT_FALSE(ParseDeviceSettings(Device(R"(,"configSync":{"policy":"Sometimes"})")).ok());
}

// A pair is one party for gates and breakers, in whichever order it is written.
TEST(F5SettingsTest, APairHasOneName) {
  EXPECT_EQ(PairName(R"({"hosts":["b:443","a"]})"), "a,b:443");
  EXPECT_EQ(PairName(R"({"hosts":["a","b:443"]})"), "a,b:443");
  EXPECT_EQ(PairName("["), "");
}

TEST(F5SettingsTest, PlacesHavePartitionsAndFolders) {
  const auto places = ParsePlaces(
      R"({"virtualServers":[{"name":"a"},{"name":"b","partition":"T1/app.app","side":"ServerSide",
          "profile":"p"},{"name":"c","serverName":"x.test","createProfile":{"sniDefault":true}}],
          "profiles":[{"name":"d","partition":"T2"}]})",
      "Common");
  ASSERT_TRUE(places.ok()) << places.error().message;
  ASSERT_EQ(places->size(), 4u);
  EXPECT_EQ(places->at(0).virtual_server, "/Common/a");
  EXPECT_EQ(places->at(0).side, Side::kClient);
  EXPECT_EQ(places->at(1).virtual_server, "/T1/app.app/b");
  EXPECT_EQ(places->at(1).profile, "/T1/app.app/p");
  EXPECT_EQ(places->at(1).side, Side::kServer);
  EXPECT_TRUE(places->at(2).create && places->at(2).create->sni_default);
  EXPECT_EQ(places->at(3).profile, "/T2/d");
  EXPECT_EQ(places->at(3).virtual_server, "");
}

TEST(F5SettingsTest, WrongPlacesAreRefused) {
  for (const char* json :
       {"{}", R"({"virtualServers":[{}]})", R"({"virtualServers":[{"name":"/Common/a"}]})",
        R"({"virtualServers":[{"name":"a~b"}]})", R"({"virtualServers":[{"name":"a","side":"x"}]})",
        R"({"virtualServers":[{"name":"a","profile":"p","createProfile":{}}]})",
        R"({"virtualServers":[{"name":"a","createProfile":{"parent":"clientssl"}}]})",
        R"({"profiles":[{"name":"a?x=y"}]})", R"({"profiles":[{"name":"a","partition":".."}]})"}) {
    const auto places = ParsePlaces(json, "Common");
    ASSERT_FALSE(places.ok()) << json;
    EXPECT_EQ(places.error().code, ErrorCode::kInvalid);
  }
}

// R-50
TEST(F5NamesTest, AnObjectIsNamedAfterNameQuarterAndRun) {
  pki::CertificateInfo leaf;
  leaf.common_name = "*.bntpro.com";
  struct Case {
    const char* not_before;
    const char* quarter;
  };
  const Case cases[] = {{"2024-01-01T00:00:00Z", "2024_Q1"}, {"2024-03-31T23:59:59Z", "2024_Q1"},
                        {"2024-04-01T00:00:00Z", "2024_Q2"}, {"2024-09-30T12:00:00Z", "2024_Q3"},
                        {"2024-10-01T00:00:00Z", "2024_Q4"}, {"2024-12-31T23:59:59Z", "2024_Q4"}};
  for (const Case& c : cases) {
    leaf.not_before = *ParseTime(c.not_before);
    EXPECT_EQ(ObjectName(leaf, "st-4cb3205188"),
              std::string("wildcard_bntpro_com_") + c.quarter + "_ST-4cb3205188");
  }
}

TEST(F5NamesTest, NamesAreSafeWhateverTheCertificateSays) {
  pki::CertificateInfo leaf;
  for (const char* name : {"../../x", "a/b~c", "1.example.com", "x y;rm", "\xff\xfe", "-x", "*"}) {
    leaf.common_name = name;
    const std::string made = ObjectName(leaf, "st-1");
    EXPECT_EQ(
        made.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"),
        std::string::npos)
        << made;
    EXPECT_TRUE(std::isalpha(static_cast<unsigned char>(made.front()))) << made;
  }
  leaf.common_name = std::string(5000, 'a');
  EXPECT_LT(ObjectName(leaf, "st-1").size(), 200u);
  leaf.common_name.clear();
  leaf.dns_names = {"www.example.com"};
  EXPECT_TRUE(ObjectName(leaf, "st-1").starts_with("www_example_com_"));
}

TEST(F5NamesTest, AnUploadsNameTellsWhoseItIsAndNothingElseDoes) {
  seams::Binding at;
  at.workflow_ns = "prod";
  at.workflow_name = "site";
  const Origin origin{OwnerOf(at), "st-4cb3205188", std::string(64, 'a')};
  for (const char* prefix : {"file:", "file://", ""}) {
    const auto read =
        OriginOf(prefix + ("/var/config/rest/downloads/" + UploadName(origin, ".crt")));
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->owner, origin.owner);
    EXPECT_EQ(read->version, origin.version);
    EXPECT_EQ(read->fingerprint, origin.fingerprint);
  }
  at.workflow_name = "other";
  EXPECT_NE(OwnerOf(at), origin.owner);
  for (const std::string& foreign :
       {std::string("/var/config/rest/downloads/www.crt"), std::string("certflow_"),
        std::string("certflow_a_b_c"), std::string("certflow_0123456789_st-1_short.crt"),
        "certflow_zzzzzzzzzz_st-1_" + std::string(64, 'a'),
        "certflow_0123456789_../x_" + std::string(64, 'a')}) {
    EXPECT_FALSE(OriginOf(foreign)) << foreign;
  }
}

TEST(F5NamesTest, PathsBecomeIdsOfUrls) {
  EXPECT_EQ(UrlId("/Common/app.app/www.crt"), "~Common~app.app~www.crt");
  EXPECT_EQ(PartitionOf("/Common/app.app/www.crt"), "Common");
  EXPECT_EQ(LeafOf("/Common/app.app/www.crt"), "www.crt");
  EXPECT_EQ(CreatedProfilePath("/T1/app.app/vs", "", true), "/T1/app.app/certflow_vs_clientssl");
  EXPECT_EQ(CreatedProfilePath("/Common/vs", "*.x.test", false),
            "/Common/certflow_vs_wildcard_x_test_serverssl");
}

}  // namespace
}  // namespace certflow::providers::f5

#include "providers/targets/host/nginx_config.h"

#include <gtest/gtest.h>

#include "providers/targets/host/config_dump.h"
#include "providers/targets/host/named_place.h"
#include "tests/unit/providers/host/seeds.h"

namespace certflow::providers::host {
namespace {

// One main file with this inside of http.
std::string Http(const std::string& text) {
  return "# configuration file /etc/nginx/nginx.conf:\nhttp {\n" + text + "\n}\n";
}
std::string Tls(const std::string& names, const std::string& listen, const std::string& file) {
  return "server { listen " + listen + " ssl; server_name " + names + "; ssl_certificate " + file +
         ".pem; ssl_certificate_key " + file + ".key; }\n";
}

Result<NamedPlace> Find(const std::string& dump, const NginxName& name) {
  CF_ASSIGN_OR_RETURN(const NginxConfig config, ParseNginxConfig(dump));
  return FindNginxPlace(config, name);
}

// what nginx 1.22 printed for several blocks of one name, includes and relative paths.
TEST(NginxConfigTest, ReadsWhatARealOnePrints) {
  const auto site = Find(Seed("nginx_config/sites"), {"site.test", ""});
  ASSERT_TRUE(site.ok()) << site.error().message;
  ASSERT_EQ(site->pairs.size(), 1u);
  EXPECT_EQ(site->pairs[0].certificate_file, "/srv/web/tls/fullchain.pem");
  EXPECT_EQ(site->pairs[0].key_file, "/srv/web/tls/privkey.pem");
  ASSERT_EQ(site->placements.size(), 1u) << "the block without TLS is none";
  EXPECT_EQ(site->placements[0].address, "127.0.0.1");
  EXPECT_EQ(site->placements[0].port, 8443);
  const auto other = Find(Seed("nginx_config/sites"), {"Other.TEST", ""});
  ASSERT_TRUE(other.ok()) << other.error().message;
  EXPECT_EQ(other->pairs[0].certificate_file, "/srv/web/tls/other.pem") << "inherited from http";
}

struct FindCase {
  const char* name;
  std::string dump;
  NginxName wanted;
  const char* found;  // certificate, or the reason of the error
};

class NginxFindTest : public testing::TestWithParam<FindCase> {};

TEST_P(NginxFindTest, LeadsToTheFileOrSaysWhyNot) {
  const FindCase& test = GetParam();
  const auto place = Find(test.dump, test.wanted);
  EXPECT_EQ(place.ok() ? place->pairs[0].certificate_file : place.error().reason, test.found)
      << (place.ok() ? "" : place.error().message);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, NginxFindTest,
    testing::Values(
        FindCase{"Absolute", Http(Tls("a.test", "443", "/x/a")), {"a.test", ""}, "/x/a.pem"},
        FindCase{"Wildcard", Http(Tls("*.a.test", "443", "/x/a")), {"*.a.test", ""}, "/x/a.pem"},
        FindCase{"WildcardIsNotAName",
                 Http(Tls("*.a.test", "443", "/x/a")),
                 {"b.a.test", ""},
                 "VirtualHostNotFound"},
        FindCase{"LeadingDot", Http(Tls(".a.test", "443", "/x/a")), {"*.a.test", ""}, "/x/a.pem"},
        FindCase{"OneOfTwoByListen",
                 Http(Tls("a.test", "443", "/x/a") + Tls("a.test", "10.0.0.1:8443", "/x/b")),
                 {"a.test", "10.0.0.1:8443"},
                 "/x/b.pem"},
        FindCase{"StarAndPortAreThePort",
                 Http(Tls("a.test", "443", "/x/a") + Tls("a.test", "8443", "/x/b")),
                 {"a.test", "*:443"},
                 "/x/a.pem"},
        FindCase{"TwoThatDiffer",
                 Http(Tls("a.test", "443", "/x/a") + Tls("a.test", "8443", "/x/b")),
                 {"a.test", ""},
                 "VirtualHostAmbiguous"},
        FindCase{"TwoThatAgree",
                 Http(Tls("a.test", "443", "/x/a") + Tls("a.test", "[::1]:8443", "/x/a")),
                 {"a.test", ""},
                 "/x/a.pem"},
        FindCase{"Variable",
                 Http(Tls("a.test", "443", "/x/$ssl_server_name")),
                 {"a.test", ""},
                 "PathNotPlain"},
        FindCase{"Data", Http(Tls("a.test", "443", "data:x")), {"a.test", ""}, "PathNotPlain"},
        FindCase{"NoTls",
                 Http("server { listen 80; server_name a.test; }"),
                 {"a.test", ""},
                 "NoCertificateConfigured"},
        FindCase{"InAStreamItIsAnotherThing",
                 "# configuration file /n:\nstream { " + Tls("a.test", "443", "/x/a") + "}\n",
                 {"a.test", ""},
                 "VirtualHostNotFound"},
        FindCase{"BracesInQuotesCommentsAndLua",
                 Http("map $a $b { default \"{\"; } # }\n"
                      "server { access_by_lua_block { if x then y = \"}\" end -- }\n } listen 443 "
                      "ssl; server_name a.test; ssl_certificate '/x/a.pem'; ssl_certificate_key "
                      "\"/x/a.key\"; set $x ${y}z; }"),
                 {"a.test", ""},
                 "/x/a.pem"},
        FindCase{"AnIncludeOfItself",
                 "# configuration file /etc/nginx/nginx.conf:\ninclude nginx.conf;\n",
                 {"a.test", ""},
                 "ConfigUnreadable"},
        FindCase{"ABlockWithoutEnd",
                 "# configuration file /n:\nhttp { server {\n",
                 {"a.test", ""},
                 "ConfigUnreadable"},
        FindCase{"Nothing", "", {"a.test", ""}, "ConfigUnreadable"}),
    [](const auto& one) { return std::string(one.param.name); });

TEST(NginxConfigTest, AMissingNameIsAnsweredWithThoseThatAreThere) {
  const auto place = Find(Http(Tls("a.test b.test", "443", "/x/a")), {"c.test", ""});
  ASSERT_FALSE(place.ok());
  EXPECT_EQ(place.error().code, ErrorCode::kNotFound);
  EXPECT_NE(place.error().message.find("a.test, b.test"), std::string::npos)
      << place.error().message;
}

TEST(NginxConfigTest, SeveralCertificatesAreAllTold) {
  const auto place = Find(
      Http("server { listen 443 ssl; server_name a.test; ssl_certificate r.pem; ssl_certificate "
           "e.pem; ssl_certificate_key r.key; ssl_certificate_key e.key; }"),
      {"a.test", ""});
  ASSERT_TRUE(place.ok());
  ASSERT_EQ(place->pairs.size(), 2u);
  EXPECT_EQ(place->pairs[1].key_file, "/etc/nginx/e.key");
}

TEST(NginxConfigTest, TheLimitsAreLimits) {
  std::string deep = "# configuration file /n:\n";
  for (std::size_t i = 0; i < kMaxBlockDepth; ++i) deep += "a { ";
  std::string closed = deep;
  for (std::size_t i = 0; i < kMaxBlockDepth; ++i) closed += "}";
  EXPECT_TRUE(ParseNginxConfig(closed).ok());
  EXPECT_FALSE(ParseNginxConfig(deep + "a {").ok());
  const std::string full = "# configuration file /n:\n" + std::string(kMaxConfigBytes - 25, ' ');
  EXPECT_TRUE(ParseNginxConfig(full).ok());
  const auto larger = ParseNginxConfig(full + " ");
  ASSERT_FALSE(larger.ok());
  EXPECT_EQ(larger.error().reason, "ConfigTooLarge");
  std::string servers;
  for (std::size_t i = 0; i < kMaxVirtualHosts; ++i) servers += "server{}";
  EXPECT_TRUE(ParseNginxConfig(Http(servers)).ok());
  EXPECT_FALSE(ParseNginxConfig(Http(servers + "server{}")).ok());
}

TEST(GlobTest, MatchesAsFilesAreExpanded) {
  EXPECT_TRUE(GlobMatches("/a/*.conf", "/a/b.conf"));
  EXPECT_FALSE(GlobMatches("/a/*.conf", "/a/b/c.conf")) << "a star stays in its folder";
  EXPECT_FALSE(GlobMatches("/a/*", "/a/.hidden"));
  EXPECT_TRUE(GlobMatches("/a/?[b-d][!x]*z", "/a/1cyabcz"));
  EXPECT_FALSE(GlobMatches("/a/[!x]", "/a/x"));
  EXPECT_FALSE(GlobMatches("/a/[", "/a/b"));
  EXPECT_TRUE(GlobMatches("/a/*a*a*b", "/a/" + std::string(2000, 'a') + "b"));
  EXPECT_FALSE(GlobMatches("/a", "/a/b"));
}

}  // namespace
}  // namespace certflow::providers::host

#include "providers/targets/host/haproxy_config.h"

#include <gtest/gtest.h>

#include "providers/targets/host/named_place.h"
#include "tests/unit/providers/host/seeds.h"

namespace certflow::providers::host {
namespace {

Result<NamedPlace> Find(const std::string& dump, const HaproxyName& name,
                        std::string_view key_type = "") {
  CF_ASSIGN_OR_RETURN(const HaproxyConfig config, ParseHaproxyConfig(dump));
  return FindHaproxyPlace(config, name, key_type);
}

std::string Main(const std::string& text) {
  return "# configuration file /etc/haproxy/haproxy.cfg:\nglobal\n crt-base /etc/ssl\n" + text;
}

//
TEST(HaproxyConfigTest, ACrtListLeadsToTheFileByItsFilter) {
  const auto site = Find(Seed("haproxy_config/list"), {"web", "site.test"});
  ASSERT_TRUE(site.ok()) << site.error().message;
  EXPECT_EQ(site->pairs[0].certificate_file, "/srv/web/tls/site.pem");
  EXPECT_EQ(site->pairs[0].key_file, "/srv/web/tls/site.pem");
  EXPECT_EQ(site->placements[0].address, "127.0.0.1");
  EXPECT_EQ(site->placements[0].port, 8443);
  EXPECT_EQ(site->placements[0].virtual_host, "web");
  const auto other = Find(Seed("haproxy_config/list"), {"web", "other.test"});
  ASSERT_TRUE(other.ok()) << other.error().message;
  EXPECT_EQ(other->pairs[0].certificate_file, "/srv/web/tls/other.pem") << "by what is in it";
}

//
TEST(HaproxyConfigTest, AFolderLeadsToTheFileByTheNamesInIt) {
  const auto other = Find(Seed("haproxy_config/folder"), {"web", "other.test"});
  ASSERT_TRUE(other.ok()) << other.error().message;
  EXPECT_EQ(other->pairs[0].certificate_file, "/srv/web/tls/certs/other.pem");
  EXPECT_EQ(other->pairs[0].key_file, "/srv/web/tls/certs/other.pem.key") << "beside it";
  EXPECT_TRUE(Find(Seed("haproxy_config/folder"), {"web", "other.test"}, "ECDSA").ok());
  EXPECT_EQ(Find(Seed("haproxy_config/folder"), {"web", "other.test"}, "RSA").error().reason,
            "VirtualHostNotFound");
}

struct FindCase {
  const char* name;
  std::string dump;
  HaproxyName wanted;
  const char* found;  // certificate, or the reason of the error
};

class HaproxyFindTest : public testing::TestWithParam<FindCase> {};

TEST_P(HaproxyFindTest, LeadsToTheFileOrSaysWhyNot) {
  const FindCase& test = GetParam();
  const auto place = Find(test.dump, test.wanted);
  EXPECT_EQ(place.ok() ? place->pairs[0].certificate_file : place.error().reason, test.found)
      << (place.ok() ? "" : place.error().message);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, HaproxyFindTest,
    testing::Values(
        FindCase{"OneFile",
                 Main("frontend web\n bind :443 ssl crt a.pem # crt b.pem\n"),
                 {"web", ""},
                 "/etc/ssl/a.pem"},
        FindCase{"Listen",
                 Main("listen web\n bind :443 ssl alpn h2 crt '/x/a.pem'\n"),
                 {"web", ""},
                 "/x/a.pem"},
        FindCase{"TwoFiles",
                 Main("frontend web\n bind :443 ssl crt a.pem crt b.pem\n"),
                 {"web", ""},
                 "VirtualHostAmbiguous"},
        FindCase{"AnotherFrontend",
                 Main("frontend web\n bind :443 ssl crt a.pem\n"),
                 {"api", ""},
                 "VirtualHostNotFound"},
        FindCase{"NoTls", Main("frontend web\n bind :80\n"), {"web", ""}, "VirtualHostNotFound"},
        FindCase{"ABindOfABackendIsNone",
                 Main("backend web\n bind :443 ssl crt a.pem\n"),
                 {"web", ""},
                 "VirtualHostNotFound"},
        FindCase{"Variable",
                 Main("frontend web\n bind :443 ssl crt \"${HOME}/a.pem\"\n"),
                 {"web", ""},
                 "PathNotPlain"},
        FindCase{"Store",
                 Main("frontend web\n bind :443 ssl crt @store/a.pem\n"),
                 {"web", ""},
                 "PathNotPlain"},
        FindCase{"Conditional",
                 Main("frontend web\n.if defined(X)\n bind :443 ssl crt a.pem\n.endif\n"),
                 {"web", ""},
                 "VirtualHostAmbiguous"},
        FindCase{"AListThatWasNotShown",
                 Main("frontend web\n bind :443 ssl crt-list /no\n"),
                 {"web", ""},
                 "VirtualHostAmbiguous"},
        FindCase{"FiltersExclude",
                 Main("frontend web\n bind :443 ssl crt-list /l\n") +
                     "# configuration file (list) /l:\na.pem [alpn h2 ocsp-update on] !x.test\n"
                     "b.pem x.test\n",
                 {"web", "x.test"},
                 "/etc/ssl/b.pem"}),
    [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace certflow::providers::host

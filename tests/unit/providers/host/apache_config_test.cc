#include "providers/targets/host/apache_config.h"

#include <gtest/gtest.h>

#include "providers/targets/host/config_dump.h"
#include "providers/targets/host/named_place.h"
#include "tests/unit/providers/host/seeds.h"

namespace certflow::providers::host {
namespace {

std::string Main(const std::string& text) {
  return "# configuration file /etc/apache2/apache2.conf:\nServerRoot /etc/apache2\n" + text;
}
std::string Vhost(const std::string& address, const std::string& name, const std::string& more) {
  return "<VirtualHost " + address + ">\nServerName " + name + "\nSSLEngine on\n" + more +
         "\n</VirtualHost>\n";
}
std::string Pair(const std::string& file) {
  return "SSLCertificateFile " + file + ".pem\nSSLCertificateKeyFile " + file + ".key\n";
}

Result<NamedPlace> Find(const std::string& dump, const ApacheName& name) {
  CF_ASSIGN_OR_RETURN(const ApacheConfig config, ParseApacheConfig(dump));
  return FindApachePlace(config, name);
}

TEST(ApacheVhostsTest, ReadsWhatARealOnePrints) {
  const auto entries = ParseApacheVhosts(Seed("apache_config/sites"));
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[0],
            (ApacheVhostEntry{"*:8080", "site.test", "/srv/web/sites-enabled/site.conf", 2}));
  EXPECT_EQ(entries[2],
            (ApacheVhostEntry{"*:8443", "www.site.test", "/srv/web/sites-enabled/site.conf", 6}));
}

// what Apache 2.4 printed in Debian's layout.
TEST(ApacheConfigTest, FollowsIncludesDefinitionsAndModules) {
  const auto site = Find(Seed("apache_config/sites"), {"*:8443", "site.test"});
  ASSERT_TRUE(site.ok()) << site.error().message;
  EXPECT_EQ(site->pairs[0].certificate_file, "/srv/web/tls/fullchain.pem");
  EXPECT_EQ(site->pairs[0].key_file, "/srv/web/tls/privkey.pem") << "after a continued line";
  EXPECT_EQ(site->placements[0].virtual_host, "*:8443");
  EXPECT_EQ(site->placements[0].port, 8443);
  EXPECT_EQ(site->placements[0].address, "");
}

TEST(ApacheConfigTest, OneFileMayHoldBothAndTwoKindsOfKeysBesideEachOther) {
  const auto site = Find(Seed("apache_config/single"), {"", "site.test"});
  ASSERT_TRUE(site.ok()) << site.error().message;
  EXPECT_EQ(site->pairs[0].certificate_file, "/srv/web/tls/fullchain.pem");
  EXPECT_EQ(site->pairs[0].key_file, site->pairs[0].certificate_file);
  const auto both = Find(Seed("apache_config/single"), {"", "both.test"});
  ASSERT_TRUE(both.ok()) << both.error().message;
  ASSERT_EQ(both->pairs.size(), 2u);
  EXPECT_EQ(both->pairs[1].key_file, "/srv/web/tls/both-ec.key");
}

struct FindCase {
  const char* name;
  std::string dump;
  ApacheName wanted;
  const char* found;  // certificate, or the reason of the error
};

class ApacheFindTest : public testing::TestWithParam<FindCase> {};

TEST_P(ApacheFindTest, LeadsToTheFileOrSaysWhyNot) {
  const FindCase& test = GetParam();
  const auto place = Find(test.dump, test.wanted);
  EXPECT_EQ(place.ok() ? place->pairs[0].certificate_file : place.error().reason, test.found)
      << (place.ok() ? "" : place.error().message);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ApacheFindTest,
    testing::Values(
        FindCase{"Relative",
                 Main(Vhost("*:443", "a.test", Pair("t/a"))),
                 {"*:443", "a.test"},
                 "/etc/apache2/t/a.pem"},
        FindCase{"DefaultIsStar",
                 Main(Vhost("_default_:443", "a.test", Pair("/x/a"))),
                 {"*:443", ""},
                 "/x/a.pem"},
        FindCase{"Alias",
                 Main(Vhost("*:443", "a.test", "ServerAlias b.test C.test\n" + Pair("/x/a"))),
                 {"", "c.test"},
                 "/x/a.pem"},
        FindCase{"AnotherAddress",
                 Main(Vhost("*:443", "a.test", Pair("/x/a"))),
                 {"*:8443", "a.test"},
                 "VirtualHostNotFound"},
        FindCase{
            "TwoThatDiffer",
            Main(Vhost("*:443", "a.test", Pair("/x/a")) + Vhost("*:8443", "a.test", Pair("/x/b"))),
            {"", "a.test"},
            "VirtualHostAmbiguous"},
        FindCase{
            "TheSecondByAddress",
            Main(Vhost("*:443", "a.test", Pair("/x/a")) + Vhost("*:8443", "a.test", Pair("/x/b"))),
            {"*:8443", "a.test"},
            "/x/b.pem"},
        FindCase{"FromTheMainServer",
                 Main(Pair("/x/m") + Vhost("*:443", "a.test", "")),
                 {"", "a.test"},
                 "/x/m.pem"},
        FindCase{"NoTls",
                 Main("<VirtualHost *:80>\nServerName a.test\n</VirtualHost>\n"),
                 {"", "a.test"},
                 "NoCertificateConfigured"},
        FindCase{"Defined",
                 Main("Define d /x\n" + Vhost("*:443", "a.test", Pair("${d}/a"))),
                 {"", "a.test"},
                 "/x/a.pem"},
        FindCase{"NotDefined",
                 Main(Vhost("*:443", "a.test", Pair("${d}/a"))),
                 {"", "a.test"},
                 "PathNotPlain"},
        FindCase{"NotLoaded",
                 Main("<IfModule mod_x.c>\n" + Vhost("*:443", "a.test", Pair("/x/a")) +
                      "</IfModule>\n# configuration file (modules):\n core_module (static)\n"),
                 {"", "a.test"},
                 "VirtualHostNotFound"},
        FindCase{"Negated",
                 Main("<IfModule !mod_x.c>\n" + Vhost("*:443", "a.test", Pair("/x/a")) +
                      "</IfModule>\n# configuration file (modules):\n core_module (static)\n"),
                 {"", "a.test"},
                 "/x/a.pem"},
        FindCase{
            "OnlyTheServerKnows",
            Main(Vhost("*:443", "a.test", "<IfVersion >= 2.4>\n" + Pair("/x/a") + "</IfVersion>")),
            {"", "a.test"},
            "VirtualHostAmbiguous"},
        FindCase{
            "NotInForce",
            Main(Vhost("*:443", "a.test", Pair("/x/a"))) +
                "# configuration file (vhosts):\n*:443  b.test (/etc/apache2/apache2.conf:99)\n",
            {"", "a.test"},
            "VirtualHostNotFound"},
        FindCase{"InAMacro",
                 Main("<Macro V $n>\n" + Vhost("*:443", "a.test", Pair("/x/a")) +
                      "</Macro>\nUse V a.test\n"),
                 {"", "a.test"},
                 "VirtualHostNotFound"},
        FindCase{"IncludedFolder",
                 Main("Include sites/\n") + "# configuration file /etc/apache2/sites/x/y.conf:\n" +
                     Vhost("*:443", "a.test", Pair("/x/a")),
                 {"", "a.test"},
                 "/x/a.pem"},
        FindCase{"AnIncludeOfItself",
                 Main("Include apache2.conf\n"),
                 {"", "a.test"},
                 "ConfigUnreadable"},
        FindCase{"ASectionWithoutEnd",
                 Main("<VirtualHost *:443>\n"),
                 {"", "a.test"},
                 "ConfigUnreadable"}),
    [](const auto& one) { return std::string(one.param.name); });

TEST(ApacheConfigTest, TheChainFileIsToldUnlessItIsTheCertificatesOwn) {
  const auto own =
      Find(Main(Vhost("*:443", "a.test", Pair("/x/a") + "SSLCertificateChainFile /x/a.pem")),
           {"", "a.test"});
  ASSERT_TRUE(own.ok());
  EXPECT_EQ(own->chain_file, "");
  const auto other =
      Find(Main(Vhost("*:443", "a.test", Pair("/x/a") + "SSLCertificateChainFile c.pem")),
           {"", "a.test"});
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(other->chain_file, "/etc/apache2/c.pem");
}

TEST(ApacheConfigTest, ValuesThatMultiplyEndAtTheirLimit) {
  std::string text = "Define a " + std::string(1000, 'x') + "\n";
  for (int i = 0; i < 5000; ++i) text += "ServerAlias ${a}${a}${a}${a} ${a}${a}${a}${a}\n";
  const auto config = ParseApacheConfig(Main(text));
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.error().reason, "ConfigUnreadable");
}

}  // namespace
}  // namespace certflow::providers::host

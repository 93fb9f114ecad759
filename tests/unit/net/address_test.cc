#include "controller/net/address.h"

#include <gtest/gtest.h>

namespace certflow::net {
namespace {

TEST(HostPortTest, ParsesEveryForm) {
  const struct {
    const char* text;
    const char* host;
    int port;
  } cases[] = {
      {"cm.bntpro.com:443", "cm.bntpro.com", 443},
      {"10.34.23.213:8443", "10.34.23.213", 8443},
      {"[2001:db8::1]:443", "2001:db8::1", 443},
      {"[::1]", "::1", 99},
      {"::1", "::1", 99},
      {"host", "host", 99},
      {"_acme.host:65535", "_acme.host", 65535},
  };
  for (const auto& c : cases) {
    const auto where = ParseHostPort(c.text, 99);
    ASSERT_TRUE(where.ok()) << c.text;
    EXPECT_EQ(where->host, c.host);
    EXPECT_EQ(where->port, c.port);
  }
  EXPECT_EQ(FormatHostPort({"2001:db8::1", 443}), "[2001:db8::1]:443");
  EXPECT_EQ(FormatHostPort({"host", 1}), "host:1");
}

TEST(HostPortTest, RefusesWhatCouldMeanSomethingElse) {
  for (const char* text :
       {"", ":443", "host:", "host:0", "host:65536", "host:44a", "host:-1", "host:+1", "a b:1",
        "[::1", "[::1]x", "[host]:1", "[]:1", "[fe80::1%eth0]:1", "-oProxyCommand=x:22",
        "user@host:22", "host/path:1", "ho\nst:1", "http://host:1"}) {
    const auto where = ParseHostPort(text, 99);
    EXPECT_FALSE(where.ok()) << text;
  }
  EXPECT_FALSE(ParseHostPort("host").ok()) << "a port is demanded without a default";
  EXPECT_FALSE(ParseHostPort(std::string(254, 'a') + ":1").ok());
  EXPECT_TRUE(ParseHostPort(std::string(253, 'a') + ":1").ok());
}

TEST(AddressPolicyTest, RefusesWhatUsersMayNotReach) {
  for (const char* address : {"169.254.169.254",
                              "169.254.0.1",
                              "0.0.0.0",
                              "0.1.2.3",
                              "224.0.0.1",
                              "255.255.255.255",
                              "100.100.100.200",
                              "fe80::1",
                              "fe80::1%eth0",
                              "febf::1",
                              "::",
                              "ff02::1",
                              "fd00:ec2::254",
                              "::ffff:169.254.169.254",
                              "::169.254.169.254",
                              "64:ff9b::a9fe:a9fe",
                              "2002:a9fe:a9fe::1",
                              "::ffff:0.0.0.0",
                              "not an address",
                              ""}) {
    EXPECT_TRUE(IsRefusedAddress(address)) << address;
  }
}

TEST(AddressPolicyTest, LetsOrdinaryAddressesThrough) {
  for (const char* address : {"10.34.23.213", "127.0.0.1", "192.168.1.1", "100.100.100.201", "::1",
                              "2001:db8::1", "fd00::1", "::ffff:10.0.0.1"}) {
    EXPECT_FALSE(IsRefusedAddress(address)) << address;
  }
}

TEST(ResolveTest, GivesAddressesOnceAndRefusesBadOnes) {
  auto clock = MakeSystemClock();
  const Context ctx{*clock};
  EXPECT_EQ(*ResolveUserGiven(ctx, "127.0.0.1"), std::vector<std::string>{"127.0.0.1"});
  EXPECT_EQ(*ResolveUserGiven(ctx, "::1"), std::vector<std::string>{"::1"});
  EXPECT_FALSE(ResolveUserGiven(ctx, "localhost")->empty());
  EXPECT_EQ(ResolveUserGiven(ctx, "169.254.169.254").error().reason, "AddressRefused");
  EXPECT_EQ(ResolveUserGiven(ctx, "2852039166").error().reason, "AddressRefused")
      << "the resolver reads a bare number as an address";
  EXPECT_EQ(ResolveUserGiven(ctx, "a b").error().code, ErrorCode::kInvalid);
}

TEST(ResolveTest, StoppedContextAsksNobody) {
  auto clock = MakeSystemClock();
  std::stop_source stop;
  stop.request_stop();
  const Context ctx = Context{*clock}.WithStop(stop.get_token());
  EXPECT_EQ(ResolveUserGiven(ctx, "localhost").error().code, ErrorCode::kCancelled);
}

TEST(IsIpAddressTest, TellsAddressesFromNames) {
  EXPECT_TRUE(IsIpAddress("10.0.0.1"));
  EXPECT_TRUE(IsIpAddress("::1"));
  EXPECT_FALSE(IsIpAddress("example.com"));
  EXPECT_FALSE(IsIpAddress(""));
}

}  // namespace
}  // namespace certflow::net

#include <gtest/gtest.h>
#include <unistd.h>

#include <map>

#include "providers/solvers/http01_solver.h"
#include "tests/fakes/clock/simulated_clock.h"

namespace certflow::providers::solvers {
namespace {

class Pages : public net::HttpClient {
 public:
  Result<net::HttpResponse> Do(const Context&, const net::HttpRequest& request) override {
    EXPECT_EQ(request.method, "GET");
    EXPECT_EQ(request.addresses, net::AddressPolicy::kUserGiven);
    asked.push_back(request.url);
    const auto it = pages.find(request.url);
    return it == pages.end() ? net::HttpResponse{404, {}, ""} : it->second;
  }
  Result<void> Stream(const Context&, const net::HttpRequest&, net::StreamSink&) override {
    return MakeError(ErrorCode::kInternal, "NotScripted", "no streams here");
  }
  std::map<std::string, net::HttpResponse> pages;
  std::vector<std::string> asked;
};

class Http01Test : public testing::Test {
 protected:
  bool Visible() {
    const auto visible = MakeResponderSolver(pages_)->Visible(
        Context{clock_}, {"a.example", "tok", "tok.thumb", ""});
    EXPECT_TRUE(visible.ok());
    return visible.ok() && *visible;
  }
  static net::HttpResponse To(const std::string& location) {
    return {301, {{"location", location}}, ""};
  }
  const std::string url_ = "http://a.example/.well-known/acme-challenge/tok";
  Pages pages_;
  fakes::SimulatedClock clock_;
};

TEST_F(Http01Test, TheRightTextIsSeenTrailingSpaceOrNot) {
  EXPECT_FALSE(Visible());
  pages_.pages[url_] = {200, {}, "tok.thumb\r\n"};
  EXPECT_TRUE(Visible());
  pages_.pages[url_] = {200, {}, "tok.other"};
  EXPECT_FALSE(Visible());
  pages_.pages[url_] = {500, {}, "tok.thumb"};
  EXPECT_FALSE(Visible());
}

TEST_F(Http01Test, RedirectsAreFollowedAsTheCaDoes) {
  pages_.pages[url_] = To("https://a.example/x");
  pages_.pages["https://a.example/x"] = To("/y");
  pages_.pages["https://a.example/y"] = {200, {}, "tok.thumb"};
  EXPECT_TRUE(Visible());
}

TEST_F(Http01Test, RedirectsEndAndLeadOnlyToTheWeb) {
  pages_.pages[url_] = To(url_);
  EXPECT_FALSE(Visible());
  EXPECT_EQ(pages_.asked.size(), 6u);
  for (const std::string location : {"file:///etc/passwd", "//other/x", "x", "http://a/\r\nX: y"}) {
    pages_.asked.clear();
    pages_.pages[url_] = To(location);
    EXPECT_FALSE(Visible()) << location;
    EXPECT_EQ(pages_.asked.size(), 1u) << location;
  }
}

}  // namespace
}  // namespace certflow::providers::solvers

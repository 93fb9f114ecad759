#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "controller/base/clock.h"
#include "controller/base/context.h"
#include "controller/net/http_client.h"
#include "tests/fakes/net/raw_http_server.h"
#include "tests/fakes/net/test_ca.h"

namespace certflow::net {

// Of a call that must have failed; one that did not is reported and looks like no error that
// occurs.
template <typename T>
Error ErrorOf(const Result<T>& result) {
  if (!result.ok()) return result.error();
  ADD_FAILURE() << "no error";
  return {};
}
template <typename T>
ErrorCode CodeOf(const Result<T>& result) {
  return ErrorOf(result).code;
}
template <typename T>
std::string ReasonOf(const Result<T>& result) {
  return ErrorOf(result).reason;
}

// One engine and a context with a limit that only a hang reaches.
class HttpTest : public testing::Test {
 protected:
  Context Ctx(Duration limit = Duration(20'000)) const {
    Context ctx{*clock_};
    ctx.deadline = clock_->Steady() + limit;
    return ctx;
  }
  static HttpRequest Request(std::string method, std::string url, std::string body = {}) {
    HttpRequest request;
    request.method = std::move(method);
    request.url = std::move(url);
    request.body = std::move(body);
    return request;
  }

  std::unique_ptr<Clock> clock_ = MakeSystemClock();
  std::unique_ptr<HttpClient> http_ = MakeCurlHttpClient("http-test", {});
};

}  // namespace certflow::net

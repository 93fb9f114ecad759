// Signatures of AWS's public test suite (https://github.com/awslabs/aws-c-auth,
// tests/aws-signing-test-suite/v4), whose credentials are examples.

#include "providers/http/sigv4.h"

#include <gtest/gtest.h>

namespace certflow::providers::http {
namespace {

struct Row {
  const char* name;  // the suite's own
  const char* path;
  std::vector<net::Header> headers;
  const char* token;
  const char* names;
  const char* signature;
};

class SigV4Test : public testing::TestWithParam<Row> {};

TEST_P(SigV4Test, SignsAsTheSuiteDoes) {
  const Row& row = GetParam();
  SigV4Keys keys;
  keys.access_key_id = SecretBytes("AKIDEXAMPLE");
  keys.secret_access_key = SecretBytes("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
  keys.session_token = SecretBytes(row.token);
  net::HttpRequest request;
  request.url = std::string("https://example.amazonaws.com") + row.path;
  request.headers = row.headers;
  ASSERT_TRUE(
      SignV4(keys, "us-east-1", "service", *ParseTime("2015-08-30T12:36:00Z"), request).ok());
  EXPECT_EQ(request.authorization_scheme, "AWS4-HMAC-SHA256");
  EXPECT_EQ(request.authorization.Reveal(),
            "Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=" +
                std::string(row.names) + ", Signature=" + row.signature);
}

INSTANTIATE_TEST_SUITE_P(
    Suite, SigV4Test,
    testing::Values(Row{"get_vanilla",
                        "/",
                        {},
                        "",
                        "host;x-amz-date",
                        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
                    Row{"get_vanilla_query_order_key_case",
                        "/?Param2=value2&Param1=value1",
                        {},
                        "",
                        "host;x-amz-date",
                        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
                    Row{"get_vanilla_empty_query_key",
                        "/?Param1=value1",
                        {},
                        "",
                        "host;x-amz-date",
                        "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
                    Row{"get_vanilla_query_order_encoded",
                        "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
                        {},
                        "",
                        "host;x-amz-date",
                        "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"},
                    Row{"get_unreserved",
                        "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
                        {},
                        "",
                        "host;x-amz-date",
                        "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
                    Row{"get_space",
                        "/example space/",
                        {},
                        "",
                        "host;x-amz-date",
                        "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
                    Row{"get_slashes_normalized",
                        "//example//",
                        {},
                        "",
                        "host;x-amz-date",
                        "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"},
                    Row{"get_header_value_trim",
                        "/",
                        {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}},
                        "",
                        "host;my-header1;my-header2;x-amz-date",
                        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
                    Row{"get_vanilla_with_session_token",
                        "/",
                        {},
                        "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267",
                        "host;x-amz-date;x-amz-security-token",
                        "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"}),
    [](const auto& row) { return row.param.name; });

TEST(SigV4Test, ABodyIsSigned) {
  SigV4Keys keys;
  keys.access_key_id = SecretBytes("AKIDEXAMPLE");
  keys.secret_access_key = SecretBytes("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
  net::HttpRequest request;
  request.method = "POST";
  request.url = "https://example.amazonaws.com/";
  request.secret_body = SecretBytes("Param1=value1");
  request.headers = {
      {"Content-Type", "application/x-www-form-urlencoded"},
      {"Content-Length", "13"},
      {"x-amz-content-sha256", "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"}};
  ASSERT_TRUE(
      SignV4(keys, "us-east-1", "service", *ParseTime("2015-08-30T12:36:00Z"), request).ok());
  EXPECT_NE(request.authorization.Reveal().find(
                "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b"),
            std::string_view::npos)
      << request.authorization.Reveal();
}

}  // namespace
}  // namespace certflow::providers::http

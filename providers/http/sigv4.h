#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "controller/base/clock.h"
#include "controller/base/result.h"
#include "controller/base/secret.h"
#include "controller/net/http_client.h"

// AWS Signature Version 4, in the Authorization header
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
// Pure: no input or output. Made for the services whose paths are encoded twice, which is all but
// S3.
namespace certflow::providers::http {

struct SigV4Keys {
  SecretBytes access_key_id;
  SecretBytes secret_access_key;
  SecretBytes session_token;  // of temporary credentials; empty otherwise
};

// Signs every header that the request has, and adds x-amz-date, x-amz-security-token where there is
// a session token, and the authorization. The request must not change afterwards.
Result<void> SignV4(const SigV4Keys& keys, std::string_view region, std::string_view service,
                    WallTime now, net::HttpRequest& request);

}  // namespace certflow::providers::http

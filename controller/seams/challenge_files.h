#pragma once

#include <string_view>

#include "controller/base/context.h"
#include "controller/base/result.h"

namespace certflow::seams {

// Where a web server answers http-01 (RFC 8555 section 8.3): files named by the token below
// /.well-known/acme-challenge/. Both calls are safe to repeat. kInvalid for a token that is not
// [A-Za-z0-9_-]+.
class ChallengeFiles {
 public:
  virtual ~ChallengeFiles() = default;
  virtual Result<void> Put(const Context& ctx, std::string_view token,
                           std::string_view content) = 0;
  // Success also when it is not there.
  virtual Result<void> Remove(const Context& ctx, std::string_view token) = 0;
};

}  // namespace certflow::seams

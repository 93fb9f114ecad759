#pragma once

#include <string>
#include <vector>

#include "controller/base/context.h"
#include "controller/base/result.h"

namespace certflow::seams {

// What a cache in front of the targets is to forget. With neither hosts nor urls: everything that
// the channel stands for.
struct PurgeRequest {
  std::string id;                  // made of run and entry: the receiver's key to tell repeats
  std::vector<std::string> hosts;  // "www.example.com"
  std::vector<std::string> urls;   // "https://www.example.com/app.js"
};

// A content delivery network or another cache. Purging twice is purging once, so an unknown outcome
// is done again. Errors: kNever only for what cannot mend itself (a wrong token, an unknown zone).
class Purger {
 public:
  virtual ~Purger() = default;
  virtual Result<void> Purge(const Context& ctx, const PurgeRequest& request) = 0;
};

}  // namespace certflow::seams

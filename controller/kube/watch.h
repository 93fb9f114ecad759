#pragma once

// For .cc files of this folder: one watch request.

#include "controller/base/context.h"
#include "controller/kube/client.h"
#include "controller/net/http_client.h"

namespace certflow::kube {

struct WatchEnd {
  int status = 0;       // of the answer; 0: there was none
  Result<void> result;  // no error: the server's regular end
};

// Streams the request and hands its events to `sink` on the calling thread; the transfer runs on a
// thread of its own ("watch"), so that a slow sink never holds the engine up.
WatchEnd RunWatch(net::HttpClient& http, const Context& ctx, const net::HttpRequest& request,
                  WatchSink& sink);

}  // namespace certflow::kube

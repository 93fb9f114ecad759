#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "providers/targets/f5/access.h"

namespace certflow::providers::f5 {

// A device with more than this many virtual servers is not read to its end.
inline constexpr std::size_t kMaxVirtualServers = 2000;

// The virtual servers of the device with their profiles, of all partitions and folders: one request
// for each hundred, at most once a minute for everybody who works on the pair.
Result<std::shared_ptr<const VirtualServerList>> ListVirtualServers(const Context& ctx,
                                                                    Access& access);
// Those that use an SSL profile.
std::vector<const VirtualServer*> UsersOf(const VirtualServerList& list, std::string_view profile,
                                          std::string_view kind);

}  // namespace certflow::providers::f5

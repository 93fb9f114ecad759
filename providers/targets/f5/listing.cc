#include "providers/targets/f5/listing.h"

#include <algorithm>
#include <string>

namespace certflow::providers::f5 {
namespace {

// The device reads the profiles of each one by one, so that a larger page may take it a minute.
constexpr std::size_t kPage = 100;

bool IsSsl(const AttachedProfile& profile) {
  return profile.kind == "client-ssl" || profile.kind == "server-ssl";
}

Call PageFrom(std::size_t skip) {
  return {"list of virtual servers",
          "/mgmt/tm/ltm/virtual?expandSubcollections=true"
          "&$select=name,partition,fullPath,destination,profilesReference&$top=" +
              std::to_string(kPage) + "&$skip=" + std::to_string(skip)};
}

}  // namespace

Result<std::shared_ptr<const VirtualServerList>> ListVirtualServers(const Context& ctx,
                                                                    Access& access) {
  if (auto known = access.pair().virtual_servers(ctx.clock.Steady())) return known;
  auto list = std::make_shared<VirtualServerList>();
  std::size_t read = 0;
  for (bool more = true; more;) {
    list->complete = read < kMaxVirtualServers;
    if (!list->complete) break;
    const Call call = PageFrom(read);
    CF_ASSIGN_OR_RETURN(const std::string body, access.Do(ctx, call));
    auto page = ParseVirtualServers(body);
    if (!page || (page->more && page->items.empty())) return Unreadable(call.what);
    read += page->items.size();
    more = page->more;
    for (VirtualServer& item : page->items) {
      std::erase_if(item.profiles, [](const AttachedProfile& profile) { return !IsSsl(profile); });
      if (!item.profiles.empty()) list->items.push_back(std::move(item));
    }
  }
  access.pair().SetVirtualServers(list, ctx.clock.Steady());
  return std::shared_ptr<const VirtualServerList>(std::move(list));
}

std::vector<const VirtualServer*> UsersOf(const VirtualServerList& list, std::string_view profile,
                                          std::string_view kind) {
  std::vector<const VirtualServer*> users;
  for (const VirtualServer& item : list.items) {
    const bool uses =
        std::any_of(item.profiles.begin(), item.profiles.end(),
                    [&](const AttachedProfile& p) { return p.path == profile && p.kind == kind; });
    if (uses) users.push_back(&item);
  }
  return users;
}

}  // namespace certflow::providers::f5

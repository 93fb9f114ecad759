#include "providers/targets/host/haproxy_config.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "providers/targets/host/named_place.h"

namespace certflow {

// HAProxy's configuration, lists and certificates on a host, and the search for one of them.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = providers::host::ParseHaproxyConfig(text);
  if (!config.ok()) return 0;
  const auto place = providers::host::FindHaproxyPlace(*config, {"web", "site.test"}, "");
  if (place.ok() && place->pairs.size() != 1) __builtin_trap();
  return 0;
}

}  // namespace certflow

#include "providers/targets/host/nginx_config.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "providers/targets/host/named_place.h"

namespace certflow {

// What `nginx -T` prints on a host, and the search for a name in it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = providers::host::ParseNginxConfig(text);
  if (!config.ok()) return 0;
  const auto place = providers::host::FindNginxPlace(*config, {"site.test", ""});
  if (place.ok() && place->pairs.empty()) __builtin_trap();
  return 0;
}

}  // namespace certflow

#include "controller/pki/certificate.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "controller/pki/key.h"

namespace certflow {

// Certificates of CAs, Secrets and servers.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)pki::ReadChain(text);
  (void)pki::PrivateKey::FromPem(text);
  const auto ordered = pki::OrderChain(text);
  if (ordered.ok() && !pki::ReadChain(*ordered).ok()) __builtin_trap();
  return 0;
}

}  // namespace certflow

#include "controller/app/identity.h"

#include <openssl/rand.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

#include "controller/base/base64.h"

namespace certflow::app {

std::string ReplicaIdentity() {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
  std::array<unsigned char, 16> random{};
  if (RAND_bytes(random.data(), random.size()) != 1) {
    throw std::runtime_error("the system gives no random numbers");
  }
  return std::string(host.data()) + "_" +
         HexEncode({reinterpret_cast<const char*>(random.data()), random.size()});
}

}  // namespace certflow::app

#include "tests/scale/requests.h"

#include <stdexcept>

namespace certflow::scale {

std::vector<Request> ReadRequests(std::istream& in) {
  std::vector<Request> out;
  for (std::string line; std::getline(in, line);) {
    const std::size_t first = line.find('\t');
    const std::size_t second = first == std::string::npos ? first : line.find('\t', first + 1);
    if (second == std::string::npos) {
      throw std::runtime_error("line " + std::to_string(out.size() + 1) + " is not a request");
    }
    out.push_back({line.substr(0, first), line.substr(first + 1, second - first - 1),
                   line.substr(second + 1)});
  }
  return out;
}

}  // namespace certflow::scale

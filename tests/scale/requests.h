#pragma once

#include <istream>
#include <string>
#include <vector>

namespace certflow::scale {

// One request as the generator's input has it: "METHOD<TAB>PATH<TAB>BODY" a line; JSON has no tab.
struct Request {
  std::string method, path, body;
};

// Everything there is; throws std::runtime_error that names the first line that is not a request.
std::vector<Request> ReadRequests(std::istream& in);

}  // namespace certflow::scale

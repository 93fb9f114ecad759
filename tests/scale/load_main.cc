// certflow-load: sends the requests of standard input to an API server as fast as it takes them,
// and prints one JSON line of what that took. The plain load generator of dev/bench.

#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "tests/scale/requests.h"
#include "tests/scale/sender.h"

namespace certflow::scale {
namespace {

using nlohmann::json;

double OwnCpuSeconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

double Percentile(std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
}

// What later requests need of an object: name, resourceVersion and uid, with tabs between.
std::string HeadOf(const std::string& answer) {
  const json object = json::parse(answer, nullptr, false);
  if (!object.is_object() || !object.contains("metadata")) return "\t\t";
  const json& metadata = object["metadata"];
  return metadata.value("name", "") + "\t" + metadata.value("resourceVersion", "") + "\t" +
         metadata.value("uid", "");
}

void WriteHeads(const std::string& path, const std::vector<std::string>& answers) {
  std::ofstream out(path);
  for (const std::string& answer : answers) out << HeadOf(answer) << '\n';
}

int Run(int argc, char** argv) {
  ServerAddress server;
  SendOptions options;
  std::string heads;
  CLI::App app{
      "Sends requests (METHOD<TAB>PATH<TAB>BODY a line) from standard input; the bearer "
      "token is in the environment as CERTFLOW_LOAD_TOKEN"};
  app.add_option("--server", server.url, "https://HOST:PORT")->required();
  app.add_option("--ca", server.ca_file, "PEM file that signs the server")->required();
  app.add_option("--in-flight", options.in_flight, "connections")->check(CLI::Range(1, 256));
  app.add_option("--heads", heads, "file for name, resourceVersion and uid of each answer");
  CLI11_PARSE(app, argc, argv);
  const char* token = std::getenv("CERTFLOW_LOAD_TOKEN");
  server.token = token == nullptr ? "" : token;
  options.keep_answers = !heads.empty();

  const std::vector<Request> requests = ReadRequests(std::cin);
  const double cpu_before = OwnCpuSeconds();
  Sent sent = SendAll(server, requests, options);
  const double cpu = OwnCpuSeconds() - cpu_before;
  if (!heads.empty()) WriteHeads(heads, sent.answers);
  std::sort(sent.latencies.begin(), sent.latencies.end());
  std::cout << json{{"requests", requests.size()},
                    {"good", sent.good},
                    {"seconds", sent.seconds},
                    {"cpu_seconds", cpu},
                    {"p50_ms", Percentile(sent.latencies, 0.5) * 1000},
                    {"p99_ms", Percentile(sent.latencies, 0.99) * 1000},
                    {"first_error", sent.first_error}}
            << std::endl;
  return sent.good == requests.size() ? 0 : 1;
}

}  // namespace
}  // namespace certflow::scale

int main(int argc, char** argv) {
  try {
    return certflow::scale::Run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "certflow-load: " << error.what() << std::endl;
    return 2;
  }
}

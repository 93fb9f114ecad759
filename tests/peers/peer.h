#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace certflow::test {

// A private folder under the system's temporary one, gone with the object.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::string operator/(std::string_view name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

// A real server, run by a script of tests/peers:
//   tests/peers/NAME DIR [args]
// starts it in the foreground with all state in DIR on free loopback ports, prints one line
// "ready key=value key=value ..." when it answers, and ends with its children on SIGTERM, SIGINT
// or when its standard input closes. Its standard error goes to DIR/peer.log.
//
// The script runs in a process group of its own, dies with the thread that started it, and is
// ended, by force after five seconds, on destruction.
class Peer {
 public:
  // Waits for the ready line; throws std::runtime_error with the end of peer.log otherwise.
  explicit Peer(std::string_view name, std::vector<std::string> args = {}, int timeout_s = 30);
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  // A value of the ready line; throws std::out_of_range for a key that is not there.
  const std::string& operator[](const std::string& key) const { return values_.at(key); }
  const std::map<std::string, std::string>& values() const { return values_; }
  const TempFolder& folder() const { return folder_; }
  // Ends it now, as the destructor does.
  void Stop();

 private:
  void Launch(std::string_view name, const std::vector<std::string>& args);
  std::string ReadReadyLine(int timeout_s);
  std::string LogTail() const;

  TempFolder folder_;
  pid_t pid_ = -1;
  int stdin_ = -1;
  int stdout_ = -1;
  std::map<std::string, std::string> values_;
};

// The whole file; throws std::runtime_error when it cannot be read.
std::string ReadFile(const std::string& path);
void WriteFile(const std::string& path, std::string_view text);

}  // namespace certflow::test

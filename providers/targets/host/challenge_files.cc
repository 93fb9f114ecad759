#include <utility>

#include "controller/seams/challenge_files.h"
#include "providers/targets/host/host_files.h"
#include "providers/targets/host/host_scripts.h"
#include "providers/targets/host/host_settings.h"
#include "providers/targets/host/nginx_target.h"

namespace certflow::providers::host {
namespace {

constexpr std::size_t kMaxToken = 256;
constexpr std::size_t kMaxContent = 4096;

Result<void> CheckToken(std::string_view token) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  if (!token.empty() && token.size() <= kMaxToken &&
      token.find_first_not_of(kAllowed) == std::string_view::npos) {
    return {};
  }
  return MakeError(ErrorCode::kInvalid, "InvalidToken",
                   "not a challenge token: " + Sanitize(token, 64));
}

class HostChallengeFiles : public seams::ChallengeFiles {
 public:
  HostChallengeFiles(HostSettings settings, std::unique_ptr<net::Shell> shell)
      : settings_(std::move(settings)), shell_(std::move(shell)) {}

  Result<void> Put(const Context& ctx, std::string_view token, std::string_view content) override {
    CF_RETURN_IF_ERROR(CheckToken(token));
    if (content.size() > kMaxContent) {
      return MakeError(ErrorCode::kInvalid, "InvalidToken", "challenge content is too long");
    }
    return Run(ctx, kPutChallenge, {std::string(token), std::to_string(content.size())}, content);
  }
  Result<void> Remove(const Context& ctx, std::string_view token) override {
    CF_RETURN_IF_ERROR(CheckToken(token));
    return Run(ctx, kRemoveChallenge, {std::string(token)}, {});
  }

 private:
  Result<void> Run(const Context& ctx, std::string_view script, std::vector<std::string> arguments,
                   std::string_view input) {
    const std::string what = "challenge file on " + settings_.host;
    arguments.insert(arguments.begin(), settings_.challenge_directory);
    auto result = shell_->Run(ctx, ShellCommand(script, arguments, settings_.sudo), input);
    if (!result.ok()) return Annotate(std::move(result).error(), what);
    CF_RETURN_IF_ERROR(ReadAnswer(*result, what, settings_.sudo, nullptr));
    return {};
  }

  HostSettings settings_;
  std::unique_ptr<net::Shell> shell_;
};

}  // namespace

Result<std::unique_ptr<seams::ChallengeFiles>> MakeHostChallengeFiles(
    std::string_view target_settings_json, std::unique_ptr<net::Shell> shell) {
  CF_ASSIGN_OR_RETURN(HostSettings settings, ParseHostSettings(target_settings_json));
  if (settings.challenge_directory.empty()) {
    return MakeError(ErrorCode::kInvalid, "InvalidSettings",
                     "challengeDirectory: is missing, and http-01 is to be answered by this host");
  }
  return std::unique_ptr<seams::ChallengeFiles>(
      new HostChallengeFiles(std::move(settings), std::move(shell)));
}

}  // namespace certflow::providers::host

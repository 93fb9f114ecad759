#include "providers/targets/host/nginx_target.h"

#include <algorithm>
#include <utility>

#include "providers/targets/host/host_files.h"
#include "providers/targets/host/host_settings.h"

namespace certflow::providers::host {
namespace {

using seams::Binding;

// nginx writes "nginx: [emerg] why in FILE:LINE" among warnings, and a summary at the end.
std::string FirstNginxError(std::string_view output) {
  std::string_view alert, last;
  while (!output.empty()) {
    const std::size_t end = std::min(output.find('\n'), output.size());
    const std::string_view line = output.substr(0, end);
    output.remove_prefix(std::min(end + 1, output.size()));
    if (line.find("[emerg]") != std::string_view::npos) return std::string(line);
    const bool grave = line.find("[alert]") != std::string_view::npos ||
                       line.find("[crit]") != std::string_view::npos ||
                       line.find("[error]") != std::string_view::npos;
    if (grave && alert.empty()) alert = line;
    if (!line.empty()) last = line;
  }
  return std::string(alert.empty() ? last : alert);
}

ServerCommands NginxCommands(const NginxSettings& settings) {
  const std::string nginx = net::ShellQuote(settings.nginx_path);
  const std::string config =
      settings.config_file.empty() ? "" : " -c " + net::ShellQuote(settings.config_file);
  return {"nginx", nginx + " -t" + config, nginx + " -s reload" + config, FirstNginxError};
}

class NginxTarget : public seams::Target {
 public:
  NginxTarget(const NginxSettings& settings, std::unique_ptr<net::Shell> shell)
      : shell_(std::move(shell)),
        files_(*shell_, NginxCommands(settings), settings.host, settings.sudo) {}

  bool remembers_previous() const override { return true; }
  Result<seams::TargetState> Observe(const Context& ctx, const Binding& at) override {
    return files_.Observe(ctx, at);
  }
  Result<void> Stage(const Context& ctx, const Binding& at, const seams::Bundle& bundle) override {
    return files_.Stage(ctx, at, bundle);
  }
  Result<void> Activate(const Context& ctx, const Binding& at,
                        const seams::StagedRef& which) override {
    return files_.Activate(ctx, at, which);
  }
  Result<void> Deactivate(const Context& ctx, const Binding& at, const seams::WayBack&) override {
    return files_.Deactivate(ctx, at);
  }
  Result<void> Prune(const Context& ctx, const Binding& at, const seams::KeepList& keep) override {
    return files_.Prune(ctx, at, keep);
  }

 private:
  std::unique_ptr<net::Shell> shell_;
  HostFiles files_;
};

// Arguments: the program, and its configuration file or nothing.
constexpr std::string_view kCheck = R"sh(
LC_ALL=C
export LC_ALL
[ -x "$1" ] || { printf 'certflow failed NginxMissing\n%s\n' "$1"; exit 0; }
[ -z "$2" ] || [ -e "$2" ] || { printf 'certflow failed ConfigFileMissing\n%s\n' "$2"; exit 0; }
version=$("$1" -v 2>&1)
if out=$("$1" -t ${2:+-c "$2"} 2>&1); then out=; fi
printf 'certflow ok\n%s\n%s\n' "$version" "$out"
)sh";

}  // namespace

Result<std::unique_ptr<seams::Target>> MakeNginxTarget(std::string_view target_settings_json,
                                                       std::unique_ptr<net::Shell> shell) {
  CF_ASSIGN_OR_RETURN(const NginxSettings settings, ParseNginxSettings(target_settings_json));
  return std::unique_ptr<seams::Target>(new NginxTarget(settings, std::move(shell)));
}

Result<HostReadiness> CheckNginxHost(const Context& ctx, std::string_view target_settings_json,
                                     net::Shell& shell) {
  CF_ASSIGN_OR_RETURN(const NginxSettings settings, ParseNginxSettings(target_settings_json));
  const std::string what = "check of " + settings.host;
  const std::string command =
      ShellCommand(kCheck, {settings.nginx_path, settings.config_file}, settings.sudo);
  auto result = shell.Run(ctx, command, {});
  if (!result.ok()) return Annotate(std::move(result).error(), what);
  Result<std::string> answer = ReadAnswer(*result, what, settings.sudo, nullptr);
  if (!answer.ok()) {
    Error error = std::move(answer).error();
    // It changes nothing, so nothing is unknown.
    if (error.code != ErrorCode::kUnknownOutcome) return error;
    return MakeError(ErrorCode::kUnavailable, error.reason, error.message);
  }
  const std::size_t end = std::min(answer->find('\n'), answer->size());
  std::string version = answer->substr(0, end);
  const std::size_t colon = version.find(": ");
  if (colon != std::string::npos) version = version.substr(colon + 2);
  return HostReadiness{
      Sanitize(version, 128),
      Sanitize(FirstNginxError(std::string_view(*answer).substr(std::min(end + 1, answer->size()))),
               512)};
}

}  // namespace certflow::providers::host

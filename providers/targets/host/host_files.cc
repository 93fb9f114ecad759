#include "providers/targets/host/host_files.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "controller/base/base64.h"
#include "controller/pki/certificate.h"
#include "controller/pki/key.h"
#include "providers/targets/host/host_scripts.h"

namespace certflow::providers::host {
namespace {

constexpr std::size_t kMaxFileName = 200;

bool IsName(std::string_view text) {
  return !text.empty() && text.size() <= kMaxFileName && text.front() != '.' &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-") == std::string_view::npos;
}

// A version becomes a folder's name, so it must not be one of our own.
Result<void> CheckVersion(std::string_view version) {
  const bool taken =
      version == "live" || version == "reloaded" || version == "original" || version == "owner";
  if (IsName(version) && version.front() != '-' && !taken) return {};
  return MakeError(ErrorCode::kInvalid, "InvalidVersion",
                   "not a version's name: " + Sanitize(version, 64));
}

struct Place {
  std::string folder;
  std::string owner;
};

Result<Place> Locate(const seams::Binding& at, const std::string& certificate) {
  Place place;
  std::string name = ".certflow-" + at.workflow_ns + "-" + at.workflow_name;
  if (name.find_first_of("/\n") != std::string::npos || name.find('\0') != std::string::npos) {
    return MakeError(ErrorCode::kInvalid, "InvalidSettings", "workflow: not a Kubernetes name");
  }
  if (name.size() > kMaxFileName) {
    name = name.substr(0, kMaxFileName - 17) + "-" + Sha256Hex(name).substr(0, 16);
  }
  place.folder = certificate.substr(0, certificate.rfind('/') + 1) + name;
  // The folder's name alone cannot tell "a-b/c" from "a/b-c".
  place.owner = at.workflow_ns + "/" + at.workflow_name + " " + certificate;
  return place;
}

std::string What(std::string_view body) {
  if (body == kObserve) return "observe";
  if (body == kStage) return "stage";
  if (body == kActivate) return "activate";
  return body == kPrune ? "prune" : "deactivate";
}

// The "name value" lines of kObserve.
struct Observed {
  std::string certificate, key, fingerprint, live, reloaded;
  std::optional<std::string> previous;
  std::vector<std::string> versions;
  bool loaded = true;
};

Observed ParseObserved(const std::string& answer) {
  Observed seen;
  std::istringstream lines(answer);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t space = std::min(line.find(' '), line.size());
    const std::string name = line.substr(0, space);
    std::string value = line.substr(std::min(space + 1, line.size()));
    if (name == "certificate")
      seen.certificate = std::move(value);
    else if (name == "key")
      seen.key = std::move(value);
    else if (name == "fingerprint")
      seen.fingerprint = std::move(value);
    else if (name == "live")
      seen.live = std::move(value);
    else if (name == "reloaded")
      seen.reloaded = std::move(value);
    else if (name == "previous")
      seen.previous = std::move(value);
    else if (name == "loaded")
      seen.loaded = value != "no";
    else if (name == "version" && IsName(value))
      seen.versions.push_back(std::move(value));
  }
  return seen;
}

seams::TargetState ToState(Observed seen) {
  seams::TargetState state;
  state.fingerprint = seen.fingerprint.size() == 64 ? seen.fingerprint : "";
  state.staged = std::move(seen.versions);
  const bool foreign = seen.certificate == "file" || seen.key == "file";
  if (seen.certificate == "ours" || (seen.key == "ours" && !foreign)) {
    state.active = seen.live;
    state.previous = seen.previous;
    state.running = seen.certificate == "ours" && seen.key == "ours" &&
                    seen.live == seen.reloaded && seen.loaded;
  } else if (!state.fingerprint.empty()) {
    state.active = seams::OriginalVersion(state.fingerprint);
  }
  return state;
}

Result<void> CheckBundle(const seams::Bundle& bundle) {
  CF_RETURN_IF_ERROR(CheckVersion(bundle.version));
  CF_RETURN_IF_ERROR(seams::CheckNotOriginal(bundle.version));
  CF_ASSIGN_OR_RETURN(const pki::PrivateKey key, pki::PrivateKey::FromPem(bundle.key_pem.Reveal()));
  return pki::CheckPair(bundle.chain_pem, key);
}

void AppendLine(std::string& text, std::string_view pem) {
  text += pem;
  if (!pem.ends_with('\n')) text += '\n';
}

}  // namespace

HostFiles::HostFiles(net::Shell& shell, ServerCommands server, std::string host, bool sudo)
    : shell_(shell), server_(std::move(server)), host_(std::move(host)), sudo_(sudo) {}

Result<std::string> HostFiles::Run(const Context& ctx, const seams::Binding& at,
                                   const PairPaths& paths, const Call& call) {
  CF_ASSIGN_OR_RETURN(const Place place, Locate(at, paths.certificate_file));
  const std::string script = server_.functions + std::string(kPrelude) + std::string(call.body);
  std::vector<std::string> arguments = {place.folder, paths.certificate_file, paths.key_file,
                                        place.owner};
  arguments.insert(arguments.end(), call.arguments.begin(), call.arguments.end());
  const std::string what = What(call.body) + " on " + host_;
  Result<net::CommandResult> result =
      shell_.Run(ctx, ShellCommand(script, arguments, sudo_), call.input);
  Result<std::string> answer = result.ok() ? ReadAnswer(*result, what, sudo_, server_.first_error)
                                           : Annotate(std::move(result).error(), what);
  if (!answer.ok() && !call.changes && answer.error().code == ErrorCode::kUnknownOutcome) {
    // Nothing was to be changed, so nothing is unknown.
    return MakeError(ErrorCode::kUnavailable, answer.error().reason, answer.error().message);
  }
  return answer;
}

Result<seams::TargetState> HostFiles::Observe(const Context& ctx, const seams::Binding& at,
                                              const PairPaths& paths) {
  CF_ASSIGN_OR_RETURN(const std::string answer, Run(ctx, at, paths, {kObserve, {}, {}, false}));
  return ToState(ParseObserved(answer));
}

Result<void> HostFiles::Stage(const Context& ctx, const seams::Binding& at, const PairPaths& paths,
                              const seams::Bundle& bundle) {
  if (auto fits = CheckBundle(bundle); !fits.ok()) {
    return Annotate(std::move(fits).error(), "stage on " + host_);
  }
  std::string chain;
  AppendLine(chain, bundle.chain_pem);
  const std::size_t chain_size = chain.size();
  // Room for all of it before the key comes in: no reallocation leaves a copy behind.
  std::string both;
  both.reserve(chain_size + bundle.key_pem.size() + 1);
  both += chain;
  AppendLine(both, bundle.key_pem.Reveal());
  const SecretBytes input = SecretBytes::Take(std::move(both));
  const std::vector<std::string> arguments = {bundle.version, std::to_string(chain_size),
                                              std::to_string(input.size() - chain_size)};
  CF_RETURN_IF_ERROR(Run(ctx, at, paths, {kStage, arguments, input.Reveal()}));
  return {};
}

Result<void> HostFiles::Activate(const Context& ctx, const seams::Binding& at,
                                 const PairPaths& paths, const seams::StagedRef& which) {
  CF_RETURN_IF_ERROR(CheckVersion(which.version));
  CF_RETURN_IF_ERROR(
      Run(ctx, at, paths, {kActivate, {which.version, which.reverting ? "1" : "0"}, {}}));
  return {};
}

Result<void> HostFiles::Deactivate(const Context& ctx, const seams::Binding& at,
                                   const PairPaths& paths) {
  CF_RETURN_IF_ERROR(Run(ctx, at, paths, {kDeactivate, {}, {}}));
  return {};
}

Result<void> HostFiles::Prune(const Context& ctx, const seams::Binding& at, const PairPaths& paths,
                              const seams::KeepList& keep) {
  CF_RETURN_IF_ERROR(Run(ctx, at, paths, {kPrune, keep.versions, {}}));
  return {};
}

std::string ShellCommand(std::string_view script, const std::vector<std::string>& arguments,
                         bool sudo) {
  std::string command = sudo ? "sudo -n sh -c " : "sh -c ";
  command += net::ShellQuote(script) + " certflow";
  for (const std::string& argument : arguments) command += " " + net::ShellQuote(argument);
  return command;
}

}  // namespace certflow::providers::host

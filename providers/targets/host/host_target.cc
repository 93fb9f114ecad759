#include "providers/targets/host/host_target.h"

#include <algorithm>
#include <map>
#include <utility>

#include "controller/pki/certificate.h"
#include "controller/pki/key.h"
#include "providers/targets/host/config_dump.h"

namespace certflow::providers::host {
namespace {

using seams::Binding;

constexpr const char* kCertificateFile = "certificateFile";
constexpr const char* kKeyFile = "keyFile";
constexpr std::string_view kEnd = "# configuration file (end):\n";

// A bundle that the place cannot take, though the pair is good.
Result<void> CheckFits(const seams::Bundle& bundle, const Location& location) {
  if (location.key_type.empty() && location.chain_file.empty()) return {};
  CF_ASSIGN_OR_RETURN(const auto chain, pki::ReadChain(bundle.chain_pem));
  const std::string& type = chain.front().signature_type;
  if (!location.key_type.empty() && !type.starts_with(location.key_type)) {
    return MakeError(ErrorCode::kInvalid, "KeyTypeMismatch",
                     "keyType: is " + location.key_type + ", and the certificate's key is " + type +
                         ": correct keyType, or certificate.privateKey.algorithm");
  }
  // A chain in the certificate's file outranks the deprecated file; without one Apache would go on
  // sending what is in there.
  if (!location.chain_file.empty() && chain.size() == 1) {
    return MakeError(ErrorCode::kRefused, "ChainFileConfigured",
                     "the virtual host has SSLCertificateChainFile " +
                         Sanitize(location.chain_file, 200) +
                         ", and the new certificate comes without a chain, so that Apache would "
                         "send the old one: remove the directive");
  }
  return {};
}

class HostTarget : public seams::Target {
 public:
  HostTarget(std::unique_ptr<net::Shell> shell, ServerCommands server, const HostSettings& settings,
             Locate locate)
      : shell_(std::move(shell)),
        host_(settings.host),
        files_(*shell_, std::move(server), settings.host, settings.sudo),
        locate_(std::move(locate)) {}

  bool remembers_previous() const override { return true; }

  Result<seams::TargetState> Observe(const Context& ctx, const Binding& at) override {
    CF_ASSIGN_OR_RETURN(const Location* location, LocationOf(ctx, at));
    CF_ASSIGN_OR_RETURN(seams::TargetState state, files_.Observe(ctx, at, location->paths));
    state.placements = location->placements;
    for (seams::Placement& placement : state.placements) {
      placement.device = host_;
      placement.location = location->paths.certificate_file;
    }
    if (location->found_by_name) {
      state.way_back = {{kCertificateFile, location->paths.certificate_file},
                        {kKeyFile, location->paths.key_file}};
    }
    return state;
  }
  Result<void> Stage(const Context& ctx, const Binding& at, const seams::Bundle& bundle) override {
    CF_ASSIGN_OR_RETURN(const Location* location, LocationOf(ctx, at));
    if (auto fits = CheckFits(bundle, *location); !fits.ok()) {
      return Annotate(std::move(fits).error(), "stage on " + host_);
    }
    return files_.Stage(ctx, at, location->paths, bundle);
  }
  Result<void> Activate(const Context& ctx, const Binding& at,
                        const seams::StagedRef& which) override {
    CF_ASSIGN_OR_RETURN(const PairPaths paths, PathsBack(ctx, at, which.way_back));
    return files_.Activate(ctx, at, paths, which);
  }
  Result<void> Deactivate(const Context& ctx, const Binding& at,
                          const seams::WayBack& way_back) override {
    CF_ASSIGN_OR_RETURN(const PairPaths paths, PathsBack(ctx, at, way_back));
    return files_.Deactivate(ctx, at, paths);
  }
  Result<void> Prune(const Context& ctx, const Binding& at, const seams::KeepList& keep) override {
    CF_ASSIGN_OR_RETURN(const Location* location, LocationOf(ctx, at));
    return files_.Prune(ctx, at, location->paths, keep);
  }

 private:
  Result<const Location*> LocationOf(const Context& ctx, const Binding& at) {
    auto known = locations_.find(at.settings);
    if (known == locations_.end()) {
      auto found = locate_(ctx, *shell_, at.settings);
      if (!found.ok()) return Annotate(std::move(found).error(), "locate on " + host_);
      known = locations_.emplace(at.settings, std::move(*found)).first;
    }
    return &known->second;
  }
  // Where the run has been, where that is known.
  Result<PairPaths> PathsBack(const Context& ctx, const Binding& at,
                              const seams::WayBack& way_back) {
    const auto certificate = way_back.find(kCertificateFile), key = way_back.find(kKeyFile);
    if (certificate != way_back.end() && key != way_back.end()) {
      CF_RETURN_IF_ERROR(CheckRemotePath(kCertificateFile, certificate->second));
      CF_RETURN_IF_ERROR(CheckRemotePath(kKeyFile, key->second));
      return PairPaths{certificate->second, key->second};
    }
    CF_ASSIGN_OR_RETURN(const Location* location, LocationOf(ctx, at));
    return location->paths;
  }

  std::unique_ptr<net::Shell> shell_;
  std::string host_;
  HostFiles files_;
  Locate locate_;
  std::map<std::string, Location> locations_;  // by settings
};

constexpr std::string_view kInspect = R"sh(
echo 'certflow ok'
for file in "$@"; do certificate "$file"; done
end_dump
)sh";

// "RSA 2048" of each certificate; empty where there is none.
Result<std::vector<std::string>> KeyTypes(const Context& ctx, net::Shell& shell,
                                          const HostSettings& settings, const NamedPlace& place) {
  std::vector<std::string> paths;
  for (const PairPaths& pair : place.pairs) paths.push_back(pair.certificate_file);
  CF_ASSIGN_OR_RETURN(const std::string dump, AskForDump(ctx, shell, settings, kInspect, paths));
  CF_ASSIGN_OR_RETURN(const auto files, SplitConfigDump(dump));
  std::vector<std::string> types;
  for (const std::string& path : paths) {
    const ConfigFile* file = FindPart(files, "(inside) " + path);
    if (file == nullptr) file = FindPart(files, "(beside) " + path);
    auto chain =
        file == nullptr
            ? Result<std::vector<pki::CertificateInfo>>(std::vector<pki::CertificateInfo>())
            : pki::ReadChain(file->text);
    types.push_back(chain.ok() && !chain->empty() ? chain->front().signature_type : "");
  }
  return types;
}

}  // namespace

const std::string_view kAskPrelude = R"sh(
LC_ALL=C PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
answer() {
  printf 'certflow %s\n' "$1"
  [ -z "$2" ] || printf '%s\n' "$2"
  exit 0
}
# A comment that goes on in the next line stays as it is.
trim() { sed '/\\$/!s/^[[:space:]]*#.*//' "$@"; }
show() {
  printf '# configuration file %s:\n' "$1"
  trim "$1"
  echo
}
end_dump() {
  printf '# configuration file (end):\n'
  exit 0
}
walk() { walk_to "$1" "$2" 0 | head -c 262144; }
walk_to() {
  show "$1"
  [ "$3" -lt 8 ] || return 0
  trim "$1" |
    sed -n 's/^\(.*[;{]\)\{0,1\}[[:space:]]*[Ii]nclude\([Oo]ptional\)\{0,1\}[[:space:]]\{1,\}\([^;]*\).*/\3/p' |
    sed -e 's/^"\(.*\)"[[:space:]]*$/\1/' -e "s/^'\(.*\)'[[:space:]]*\$/\1/" -e 's/[[:space:]]*$//' |
    while IFS= read -r pattern; do
      case $pattern in /*) ;; *) pattern=$2/$pattern ;; esac
      [ ! -d "$pattern" ] || pattern=$pattern/*
      # Only names are expanded: a space does not split.
      IFS=
      for file in $pattern; do
        if [ -f "$file" ]; then walk_to "$file" "$2" $(($3 + 1)); fi
      done
    done
}
fault() { printf '# configuration file (fault):\n%s\n' "$1"; }
certificate() {
  [ -f "$1" ] && [ -r "$1" ] || return 0
  where=inside
  if [ -f "$1.key" ] && ! grep -q 'PRIVATE KEY-----' "$1"; then where=beside; fi
  printf '# configuration file (%s) %s:\n' "$where" "$1"
  head -c 65536 "$1" |
    sed -n -e '/^-----BEGIN CERTIFICATE-----/,/^-----END CERTIFICATE-----/p' \
      -e '/^-----END CERTIFICATE-----/q'
}
)sh";

std::unique_ptr<seams::Target> MakeHostTarget(std::unique_ptr<net::Shell> shell,
                                              ServerCommands server, const HostSettings& settings,
                                              Locate locate) {
  return std::make_unique<HostTarget>(std::move(shell), std::move(server), settings,
                                      std::move(locate));
}

Location AtPaths(const PairPaths& paths, std::string_view key_type) {
  return {paths, "", std::string(key_type), false, {seams::Placement()}};
}

Result<Location> AtNamedPlace(const Context& ctx, net::Shell& shell, const HostSettings& settings,
                              NamedPlace place, std::string_view key_type) {
  std::size_t chosen = 0;
  if (place.pairs.size() > 1) {
    CF_ASSIGN_OR_RETURN(const std::vector<std::string> types,
                        KeyTypes(ctx, shell, settings, place));
    std::string listed;
    std::size_t fitting = 0;
    for (std::size_t i = 0; i < types.size(); ++i) {
      listed += (i == 0 ? "" : ", ") + Sanitize(place.pairs[i].certificate_file, 200) + " (" +
                (types[i].empty() ? "no certificate" : types[i]) + ")";
      if (key_type.empty() || !types[i].starts_with(key_type)) continue;
      chosen = i;
      ++fitting;
    }
    if (fitting != 1) {
      return MakeError(
          ErrorCode::kRefused, "SeveralCertificates",
          "the virtual host has " + listed +
              (key_type.empty() ? ": say which one with keyType: RSA or ECDSA"
                                : ", and not exactly one of keyType " + std::string(key_type) +
                                      ": correct it, or name the files"));
    }
  }
  return Location{place.pairs[chosen], std::move(place.chain_file), std::string(key_type), true,
                  std::move(place.placements)};
}

Result<std::string> AskHost(const Context& ctx, net::Shell& shell, const HostSettings& settings,
                            std::string_view script, const std::vector<std::string>& arguments,
                            std::string_view what) {
  const std::string text = std::string(kAskPrelude) + std::string(script);
  auto result = shell.Run(ctx, ShellCommand(text, arguments, settings.sudo), {});
  Result<std::string> answer = result.ok() ? ReadAnswer(*result, what, settings.sudo, nullptr)
                                           : Annotate(std::move(result).error(), what);
  if (answer.ok() || answer.error().code != ErrorCode::kUnknownOutcome) return answer;
  // Nothing was to be changed, so nothing is unknown.
  return MakeError(ErrorCode::kUnavailable, answer.error().reason, answer.error().message);
}

Result<std::string> AskForDump(const Context& ctx, net::Shell& shell, const HostSettings& settings,
                               std::string_view script, const std::vector<std::string>& arguments) {
  CF_ASSIGN_OR_RETURN(std::string dump,
                      AskHost(ctx, shell, settings, script, arguments, "configuration"));
  if (dump.ends_with(kEnd)) return dump;
  return MakeError(ErrorCode::kRefused, "ConfigTooLarge",
                   "the server's configuration is longer than 256 KiB: name the files of the "
                   "certificate instead of the virtual host");
}

Result<NamedPlace> OrFault(Result<NamedPlace> found, std::string_view dump,
                           std::string (*first_error)(std::string_view)) {
  if (found.ok()) return found;
  CF_ASSIGN_OR_RETURN(const auto parts, SplitConfigDump(dump));
  const ConfigFile* fault = FindPart(parts, "(fault)");
  if (fault == nullptr) return found;
  Error error = std::move(found).error();
  error.message +=
      "; the server finds a fault in its configuration: " + Sanitize(first_error(fault->text), 512);
  return error;
}

Result<HostReadiness> CheckHost(const Context& ctx, net::Shell& shell, const HostSettings& settings,
                                std::string_view script, const std::vector<std::string>& arguments,
                                std::string (*first_error)(std::string_view)) {
  const std::string what = "check of " + settings.host;
  CF_ASSIGN_OR_RETURN(const std::string answer,
                      AskHost(ctx, shell, settings, script, arguments, what));
  std::string_view rest = answer;
  std::string_view version = TakeLine(rest);
  const std::size_t colon = version.find(": ");
  if (colon != std::string_view::npos) version.remove_prefix(colon + 2);
  return HostReadiness{Sanitize(version, 128), Sanitize(first_error(rest), 512)};
}

}  // namespace certflow::providers::host

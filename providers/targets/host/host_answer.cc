#include <algorithm>
#include <array>

#include "providers/targets/host/host_files.h"

namespace certflow::providers::host {
namespace {

constexpr std::string_view kAnswer = "certflow ";
constexpr std::size_t kMaxQuoted = 512;

struct Meaning {
  std::string_view reason;
  ErrorCode code;
  std::string_view text;
};

// What the scripts' reasons mean to the caller.
constexpr std::array kMeanings = {
    Meaning{"ConfigBroken", ErrorCode::kRefused,
            "the server's configuration was broken before anything was changed"},
    Meaning{"ConfigTestFailed", ErrorCode::kRefused, "the server refused the new files"},
    Meaning{"ReloadFailed", ErrorCode::kRefused, "the server could not be reloaded"},
    Meaning{"Overtaken", ErrorCode::kUnknownOutcome, "somebody else switched at the same time"},
    Meaning{"VersionMissing", ErrorCode::kNotFound, "no such version is staged"},
    Meaning{"VersionInUse", ErrorCode::kRefused,
            "the version is live with other content and is not overwritten"},
    Meaning{"PairIncomplete", ErrorCode::kRefused,
            "only one of certificateFile and keyFile is there, or a link leads nowhere; restore "
            "or remove it"},
    Meaning{"NotACertificate", ErrorCode::kRefused, "what stands there holds no certificate"},
    Meaning{"NotReadable", ErrorCode::kForbidden, "the user may not read the file"},
    Meaning{"OwnerNotKept", ErrorCode::kForbidden,
            "owner, group or mode of the file cannot be kept; use the file's owner or sudo"},
    Meaning{"DirectoryMissing", ErrorCode::kNotFound, "the directory does not exist"},
    Meaning{"DirectoryNotWritable", ErrorCode::kForbidden, "the user may not write there"},
    Meaning{"FolderIsLink", ErrorCode::kForbidden, "the folder for versions is a link"},
    Meaning{"FolderOwnedByOther", ErrorCode::kForbidden,
            "the folder for versions belongs to another workflow or certificateFile; give each "
            "certificateFile a directory of its own, or remove the folder"},
    Meaning{"FileOwnedByOther", ErrorCode::kForbidden,
            "the file is managed by another workflow; remove its link first"},
    Meaning{"VersionDamaged", ErrorCode::kRefused,
            "the version's files are not as they were when it was made"},
    Meaning{"NginxMissing", ErrorCode::kNotFound, "there is no such program; set nginxPath"},
    Meaning{"ConfigFileMissing", ErrorCode::kNotFound,
            "configFile is not there, or the user may not see it; set nginx.configFile"},
    Meaning{"ApacheMissing", ErrorCode::kNotFound, "there is no such program; set apachePath"},
    Meaning{"HaproxyMissing", ErrorCode::kNotFound, "there is no such program; set haproxyPath"},
    Meaning{"SocketToolMissing", ErrorCode::kNotFound,
            "the host has none of socat, perl, python3 and nc to talk to the stats socket with; "
            "install one, or remove statsSocket"},
    Meaning{"SocketRefused", ErrorCode::kForbidden,
            "the stats socket may not change certificates; give it \"level admin\""},
    Meaning{"InputCut", ErrorCode::kUnavailable, "the files did not arrive completely"},
    Meaning{"WriteFailed", ErrorCode::kUnavailable, "a file could not be written"},
};

std::string FirstLine(std::string_view text) {
  const std::size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return {};
  text.remove_prefix(start);
  return Sanitize(text.substr(0, text.find_first_of("\r\n")), kMaxQuoted);
}

Error NoAnswer(const net::CommandResult& result, std::string_view what, bool sudo) {
  const std::string line = FirstLine(result.err);
  const std::string text = std::string(what) + ": the host's shell answered with exit code " +
                           std::to_string(result.exit_code) + (line.empty() ? "" : ": ") + line;
  // The script itself always answers and exits with 0: sudo refused, or it was killed half-way.
  if (sudo && result.exit_code == 1 && line.starts_with("sudo")) {
    return MakeError(ErrorCode::kForbidden, "SudoRefused", text);
  }
  return MakeError(ErrorCode::kUnknownOutcome, "NoAnswer", text);
}

Error Failed(std::string_view outcome, std::string_view reason, std::string_view detail,
             std::string_view what) {
  const auto* found = std::find_if(kMeanings.begin(), kMeanings.end(),
                                   [&](const Meaning& m) { return m.reason == reason; });
  if (found == kMeanings.end()) {
    return MakeError(ErrorCode::kUnknownOutcome, "NoAnswer",
                     std::string(what) + ": the host gave an answer that is not understood");
  }
  std::string text = std::string(what) + ": " + std::string(found->text);
  if (!detail.empty()) text += ": " + std::string(detail);
  const ErrorCode code = outcome == "unknown" ? ErrorCode::kUnknownOutcome : found->code;
  return MakeError(code, found->reason, text);
}

// The text from the answer's line on; a login shell may have written something before it.
std::string_view FindAnswer(std::string_view out) {
  for (std::size_t at = 0; at < out.size();) {
    if (out.substr(at).starts_with(kAnswer)) return out.substr(at + kAnswer.size());
    const std::size_t end = out.find('\n', at);
    if (end == std::string_view::npos) break;
    at = end + 1;
  }
  return {};
}

}  // namespace

Result<std::string> ReadAnswer(const net::CommandResult& result, std::string_view what, bool sudo,
                               std::string (*first_error)(std::string_view)) {
  const std::string_view answer = FindAnswer(result.out);
  const std::size_t end = answer.find('\n');
  if (end == std::string_view::npos) return NoAnswer(result, what, sudo);
  const std::string_view head = answer.substr(0, end);
  const std::string_view rest = answer.substr(end + 1);
  if (head == "ok") return std::string(rest);
  const std::size_t space = std::min(head.find(' '), head.size());
  const std::string_view reason = head.substr(std::min(space + 1, head.size()));
  const bool from_server =
      reason == "ConfigBroken" || reason == "ConfigTestFailed" || reason == "ReloadFailed";
  std::string detail = from_server && first_error != nullptr ? first_error(rest) : FirstLine(rest);
  if (detail.empty()) detail = FirstLine(result.err);
  return Failed(head.substr(0, space), reason, Sanitize(detail, kMaxQuoted), what);
}

}  // namespace certflow::providers::host

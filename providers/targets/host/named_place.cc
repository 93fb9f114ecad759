#include "providers/targets/host/named_place.h"

#include <algorithm>
#include <set>
#include <utility>

#include "controller/base/ascii.h"
#include "controller/pki/certificate.h"
#include "providers/targets/host/config_dump.h"

namespace certflow::providers::host {
namespace {

constexpr std::size_t kMaxListed = 5;

// A virtual host that fits, of whatever server.
struct Candidate {
  std::vector<std::string> certificates, keys;
  std::string chain;
  std::vector<seams::Placement> placements;
};

Error NotFound(std::string_view what, const std::set<std::string>& instead) {
  std::string text = std::string(what) + " is not in the server's configuration";
  std::size_t listed = 0;
  for (const std::string& name : instead) {
    if (listed == kMaxListed) {
      text += ", ...";
      break;
    }
    text += (listed++ == 0 ? "; there is: " : ", ") + Sanitize(name, 100);
  }
  return MakeError(ErrorCode::kNotFound, "VirtualHostNotFound", text);
}

// A path that is a file's name, and nothing that the server computes.
Result<void> CheckConfiguredPath(std::string_view path) {
  const bool computed = path.find('$') != std::string_view::npos ||
                        path.find(':') < path.find('/') || path.starts_with('@') ||
                        path.starts_with('|');
  if (!computed && path.starts_with('/')) return CheckRemotePath("the configured file", path);
  return MakeError(ErrorCode::kRefused, "PathNotPlain",
                   "the configuration names the certificate or key as " + Sanitize(path, 200) +
                       ", which is no plain path: name the files instead of the virtual host, or "
                       "write the path out there");
}

Result<NamedPlace> Agree(std::vector<Candidate> candidates, const std::string& what,
                         std::string_view narrow) {
  NamedPlace place;
  const Candidate& first = candidates.front();
  for (Candidate& other : candidates) {
    if (other.certificates != first.certificates || other.keys != first.keys) {
      return MakeError(
          ErrorCode::kRefused, "VirtualHostAmbiguous",
          what + " has several places with different certificates: " + std::string(narrow));
    }
    for (seams::Placement& placement : other.placements) {
      if (place.placements.size() < seams::kMaxPlacements) {
        place.placements.push_back(std::move(placement));
      }
    }
  }
  for (std::size_t i = 0; i < first.certificates.size(); ++i) {
    const std::string& certificate = first.certificates[i];
    const std::string& key = i < first.keys.size() ? first.keys[i] : certificate;
    CF_RETURN_IF_ERROR(CheckConfiguredPath(certificate));
    CF_RETURN_IF_ERROR(CheckConfiguredPath(key));
    place.pairs.push_back({certificate, key});
  }
  place.chain_file = first.chain == first.certificates.front() ? "" : first.chain;
  return place;
}

Error NoCertificate(const std::string& what, std::string_view directive) {
  return MakeError(ErrorCode::kRefused, "NoCertificateConfigured",
                   what + " is configured, but without TLS and " + std::string(directive));
}

bool Contains(const std::vector<std::string>& list, std::string_view what) {
  return std::find(list.begin(), list.end(), what) != list.end();
}

std::string Bracketed(const std::string& address) {
  return address.find(':') == std::string::npos ? address : "[" + address + "]";
}

// "*:443", "[::1]:443", "10.0.0.1:443" as address and port; no port is 0.
seams::Placement PlacementAt(std::string_view where) {
  const NginxListen listen = ParseNginxListen(where);
  seams::Placement placement;
  placement.address = listen.address;
  const std::size_t colon = where.rfind(':');
  placement.port = colon == std::string_view::npos || where.ends_with(']') ? 0 : listen.port;
  return placement;
}

}  // namespace

Result<NamedPlace> FindNginxPlace(const NginxConfig& config, const NginxName& name) {
  const std::string wanted = LowerCase(name.server_name);
  const NginxListen at = ParseNginxListen(name.listen);
  const std::string what =
      "server_name " + wanted + (name.listen.empty() ? "" : " with listen " + name.listen);
  std::set<std::string> names;
  std::vector<Candidate> candidates;
  bool named = false;
  for (const NginxServer& server : config.servers) {
    const bool fits =
        Contains(server.names, wanted) ||
        Contains(server.names,
                 "." + std::string(wanted.starts_with("*.") ? wanted.substr(2) : wanted));
    if (!fits) {
      if (names.size() <= kMaxListed) names.insert(server.names.begin(), server.names.end());
      continue;
    }
    named = true;
    Candidate candidate{server.certificates, server.keys, "", {}};
    for (const NginxListen& listen : server.listens) {
      const bool same = listen.address == at.address && listen.port == at.port;
      if (!listen.tls || (!name.listen.empty() && !same)) continue;
      seams::Placement placement;
      placement.address = listen.address;
      placement.port = listen.port;
      placement.virtual_host = (listen.address.empty() ? "*" : Bracketed(listen.address)) + ":" +
                               std::to_string(listen.port);
      placement.server_name = wanted;
      // nginx is told twice where it serves TLS and QUIC at one port.
      if (!candidate.placements.empty() && candidate.placements.back() == placement) continue;
      candidate.placements.push_back(std::move(placement));
    }
    if (candidate.placements.empty() || candidate.certificates.empty()) continue;
    if (candidate.keys.size() < candidate.certificates.size()) {
      return NoCertificate(what, "ssl_certificate_key for each ssl_certificate");
    }
    candidates.push_back(std::move(candidate));
  }
  if (!named) return NotFound(what, names);
  if (candidates.empty()) return NoCertificate(what, "ssl_certificate");
  return Agree(std::move(candidates), what, "say which one with listen");
}

Result<NamedPlace> FindApachePlace(const ApacheConfig& config, const ApacheName& name) {
  std::string at = name.virtual_host;
  if (at.starts_with("_default_")) at = "*" + at.substr(9);
  const std::string wanted = LowerCase(name.server_name);
  const std::string what = "the virtual host" + (at.empty() ? "" : " " + at) +
                           (wanted.empty() ? "" : " with ServerName " + wanted);
  std::set<std::string> there;
  std::vector<Candidate> candidates;
  bool found = false;
  for (const ApacheVhost& vhost : config.vhosts) {
    const bool fits =
        (at.empty() || Contains(vhost.addresses, at)) &&
        (wanted.empty() || vhost.server_name == wanted || Contains(vhost.aliases, wanted));
    if (!fits) {
      if (there.size() <= kMaxListed && !vhost.addresses.empty()) {
        there.insert(vhost.addresses.front() + " " + vhost.server_name);
      }
      continue;
    }
    found = true;
    if (!vhost.undecided.empty()) {
      return MakeError(ErrorCode::kRefused, "VirtualHostAmbiguous",
                       what + " has its certificate within " + Sanitize(vhost.undecided, 100) +
                           ", which only Apache can judge: name the files instead");
    }
    if (!vhost.tls || vhost.certificates.empty()) continue;
    Candidate candidate{vhost.certificates, vhost.keys, vhost.chain, {}};
    for (const std::string& address : vhost.addresses) {
      if (!at.empty() && address != at) continue;
      seams::Placement placement = PlacementAt(address);
      placement.virtual_host = address;
      placement.server_name = wanted.empty() ? vhost.server_name : wanted;
      candidate.placements.push_back(std::move(placement));
    }
    candidates.push_back(std::move(candidate));
  }
  if (!found && config.uses_macros) {
    return Annotate(NotFound(what, there), "virtual hosts of mod_macro are not looked into");
  }
  if (!found) return NotFound(what, there);
  if (candidates.empty()) return NoCertificate(what, "SSLCertificateFile");
  return Agree(std::move(candidates), what, "say which one with virtualHost");
}

namespace {

// How well a certificate of a frontend fits a name; 0: not at all.
int FitOf(const HaproxyEntry& entry, const std::vector<std::string>& names,
          std::string_view wanted) {
  if (Contains(entry.filters, wanted)) return 3;
  if (!entry.filters.empty()) return 0;
  if (Contains(names, wanted)) return 2;
  return pki::NameCovers(names, wanted) ? 1 : 0;
}

struct Leaf {
  std::vector<std::string> names;
  std::string key_type;  // "RSA 2048"
};

Leaf LeafAt(const HaproxyConfig& config, const std::string& path) {
  const auto file = config.files.find(path);
  if (file == config.files.end()) return {};
  auto chain = pki::ReadChain(file->second.leaf_pem);
  if (!chain.ok()) return {};
  return {std::move(chain->front().dns_names), chain->front().signature_type};
}

}  // namespace

Result<NamedPlace> FindHaproxyPlace(const HaproxyConfig& config, const HaproxyName& name,
                                    std::string_view key_type) {
  const std::string wanted = LowerCase(name.server_name);
  const std::string what =
      "frontend " + name.frontend + (wanted.empty() ? "" : " with a certificate for " + wanted);
  std::set<std::string> there;
  std::vector<Candidate> candidates;
  int best = 0;
  for (const HaproxyBind& bind : config.binds) {
    if (bind.proxy != name.frontend) {
      if (there.size() <= kMaxListed) there.insert("frontend " + bind.proxy);
      continue;
    }
    if (bind.conditional || !bind.unreadable.empty()) {
      return MakeError(ErrorCode::kRefused, "VirtualHostAmbiguous",
                       what +
                           (bind.conditional ? " stands between .if and .endif"
                                             : " has a crt-list that cannot be read") +
                           ": name certificateFile instead");
    }
    for (const HaproxyEntry& entry : bind.entries) {
      const Leaf leaf = LeafAt(config, entry.path);
      const int fit = wanted.empty() ? 1 : FitOf(entry, leaf.names, wanted);
      if (fit == 0 || (!key_type.empty() && !leaf.key_type.starts_with(key_type))) {
        if (there.size() <= kMaxListed) there.insert(entry.path);
        continue;
      }
      if (fit > best) candidates.clear();
      best = std::max(best, fit);
      if (fit < best) continue;
      const auto file = config.files.find(entry.path);
      const bool beside = file != config.files.end() && file->second.key_beside;
      seams::Placement placement = PlacementAt(bind.address);
      placement.virtual_host = bind.proxy;
      placement.server_name = wanted;
      candidates.push_back({{entry.path}, {entry.path + (beside ? ".key" : "")}, "", {placement}});
    }
  }
  if (candidates.empty()) return NotFound(what, there);
  return Agree(std::move(candidates), what,
               wanted.empty() ? "say which one with serverName" : "say which one with keyType");
}

}  // namespace certflow::providers::host

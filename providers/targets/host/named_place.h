#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "controller/base/result.h"
#include "controller/seams/target.h"
#include "providers/targets/host/apache_config.h"
#include "providers/targets/host/haproxy_config.h"
#include "providers/targets/host/host_settings.h"
#include "providers/targets/host/nginx_config.h"

// From the name of a virtual host to the files of its certificate: pure functions over what the
// servers' configurations say.
namespace certflow::providers::host {

struct NamedPlace {
  // More than one where the server has a certificate for each type of key.
  std::vector<PairPaths> pairs;
  std::string chain_file;  // Apache's SSLCertificateChainFile, where it is a file of its own
  std::vector<seams::Placement> placements;  // without device
};

// Errors of all: kNotFound, "VirtualHostNotFound", names what there is instead; kRefused,
// "VirtualHostAmbiguous" where what the name stands for has several places,
// "NoCertificateConfigured", "PathNotPlain" (variables and such).
Result<NamedPlace> FindNginxPlace(const NginxConfig& config, const NginxName& name);
Result<NamedPlace> FindApachePlace(const ApacheConfig& config, const ApacheName& name);
// Chooses among the certificates of the frontend by crt-list filter and by the names in them.
Result<NamedPlace> FindHaproxyPlace(const HaproxyConfig& config, const HaproxyName& name,
                                    std::string_view key_type);

}  // namespace certflow::providers::host

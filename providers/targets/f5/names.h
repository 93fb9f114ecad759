#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "controller/base/result.h"
#include "controller/pki/certificate.h"
#include "controller/seams/target.h"

// What things on the device are called. Everything is made of the certificate, the workflow and the
// run, so that doing it again finds it.
namespace certflow::providers::f5 {

// "wildcard_bntpro_com_2024_Q4_ST-4cb3205188": common name, quarter of notBefore (UTC), run. The
// certificate's own date, not the clock's, so that it is the same whenever it is asked for.
std::string ObjectName(const pki::CertificateInfo& leaf, std::string_view version);

// Full paths of a version's three objects; `chain` is empty where the bundle has only a leaf.
struct VersionObjects {
  std::string cert, key, chain;
  bool rsa = false;
  std::string fingerprint;
  friend bool operator==(const VersionObjects&, const VersionObjects&) = default;
};
VersionObjects ObjectsNamed(std::string_view partition, std::string_view object_name,
                            bool with_chain);

// Whose an object is, told by the name of the file that it was made of, which the device keeps in
// its sourcePath: "certflow_<owner>_<run>_<fingerprint>.crt".
struct Origin {
  std::string owner;        // OwnerOf its workflow
  std::string version;      // the run
  std::string fingerprint;  // SHA-256 of the leaf
};
std::string OwnerOf(const seams::Binding& at);
std::string UploadName(const Origin& origin, std::string_view extension);
// Empty for what certflow did not make.
std::optional<Origin> OriginOf(std::string_view source_path);

// The profile that is made for a virtual server which has none (for this server name): beside it,
// with a stable name, so that a renewal changes what is in it and not the virtual server.
std::string CreatedProfilePath(std::string_view virtual_server, std::string_view server_name,
                               bool client_side);

// "/Common/www.crt" as it stands in a URL: "~Common~www.crt".
std::string UrlId(std::string_view full_path);
// "/Common/app.app/www" -> "Common".
std::string_view PartitionOf(std::string_view full_path);
std::string_view LeafOf(std::string_view full_path);

// A run's name or an original's; kInvalid, "InvalidVersion", for what could lead elsewhere.
Result<void> CheckVersion(std::string_view version);

}  // namespace certflow::providers::f5

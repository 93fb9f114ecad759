#pragma once

#include <optional>
#include <string>
#include <vector>

#include "controller/seams/bundle.h"
#include "providers/targets/f5/access.h"
#include "providers/targets/f5/names.h"

namespace certflow::providers::f5 {

// A bundle taken apart as the device wants it, with the names that its objects get.
struct Parts {
  VersionObjects objects;
  Origin origin;
  std::string cert_pem, chain_pem;  // the leaf; what follows it, or empty
  SecretBytes key_pem;
};
// kInvalid where key and certificate do not fit.
Result<Parts> TakeApart(const seams::Bundle& bundle, std::string_view partition,
                        std::string_view owner);

// Puts a file where objects are made from; `what` is for errors. Nothing that comes back is
// repeated.
Result<void> Upload(const Context& ctx, Access& access, const std::string& what,
                    const std::string& name, std::string_view content);
// The request that takes it away again.
Call RemovalOfUpload(const std::string& what, const std::string& name);

// Uploads the files, makes the objects of them (key first, so that a version that has anything has
// a key), and removes the files. Finds what is there already by name and checksum; kRefused,
// "VersionInUse", for other content under the name. Changes nothing that is in use. Returns the
// certificate as the device read it.
Result<FileObject> PutObjects(const Context& ctx, Access& access, const Parts& parts);
// Whether the version's key is there: whether Stage was here before.
Result<bool> HasKey(const Context& ctx, Access& access, const VersionObjects& objects);

// What an owner has in the partition, with its version, read page by page.
struct Owned {
  FileObject file;
  Origin origin;
};
enum class FileKind { kCert, kKey };
Result<std::vector<Owned>> ListOwned(const Context& ctx, Access& access, FileKind kind,
                                     std::string_view owner);
// Whether a key that certflow made, for whichever workflow, is on one unit of the pair and not on
// the other: then what waits for a sync was left by a process that wrote it and died. False where
// only one unit is known.
Result<bool> UnitsDiffer(const Context& ctx, Access& access);
// A version that is on the device.
struct Installed {
  VersionObjects objects;
  FileObject cert;
};
// kNotFound, "VersionMissing".
Result<Installed> FindVersion(const Context& ctx, Access& access, std::string_view owner,
                              std::string_view version);
// Removes a version's objects; false where the device says that one is in use, and then all stay
// that are.
Result<bool> DeleteVersion(const Context& ctx, Access& access, const std::string& key_path);

}  // namespace certflow::providers::f5

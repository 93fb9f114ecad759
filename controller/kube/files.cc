#include "controller/kube/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace certflow::kube {

Result<SecretBytes> ReadSecretFile(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return MakeError(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kUnavailable,
                     "FileUnreadable", "file " + Sanitize(path, 300) + " cannot be opened");
  }
  struct stat info{};
  const bool sized = ::fstat(fd, &info) == 0 && info.st_size >= 0 &&
                     static_cast<std::size_t>(info.st_size) <= kMaxFileBytes;
  // One byte more than the size shows a file that grew; reserved at once, so that no copy is left
  // behind by growing.
  std::string text(sized ? static_cast<std::size_t>(info.st_size) + 1 : 0, '\0');
  std::size_t used = 0;
  bool good = sized;
  while (good && used < text.size()) {
    const ssize_t n = ::read(fd, text.data() + used, text.size() - used);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      good = n == 0;
      break;
    }
    used += static_cast<std::size_t>(n);
  }
  ::close(fd);
  good = good && used < text.size();
  SecretBytes bytes(std::string_view(text).substr(0, good ? used : 0));
  WipeString(text);
  if (good) return bytes;
  return MakeError(ErrorCode::kUnavailable, "FileUnreadable",
                   "file " + Sanitize(path, 300) + " cannot be read");
}

FileStamp StampOf(const std::string& path) {
  struct stat info{};
  if (path.empty() || ::stat(path.c_str(), &info) != 0) return {};
  return {info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec, info.st_ino, info.st_size};
}

}  // namespace certflow::kube

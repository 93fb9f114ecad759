#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "controller/base/mutex.h"
#include "tests/fakes/net/raw_http_server.h"

namespace certflow::test {

// A network appliance as many are: OAuth2 client credentials, certificates by identifiers of its
// own, uploaded without their key first; a candidate configuration, and a commit that is a job.
// Over real sockets. What it cannot do is told as such devices tell it: 409 for a certificate in
// use, 422 for a key that does not fit, a job that fails.
class Appliance {
 public:
  explicit Appliance(const fakes::RawTls* tls = nullptr);

  std::string url() const { return server_.url(""); }
  static constexpr const char* kClient = "certflow";
  static constexpr const char* kSecret = "s3cr3t-of-the-client";

  // As a person does it in the device's own pages: uploaded, chosen and committed.
  void PutForeign(const std::string& profile, const std::string& chain, const std::string& key);
  void Reset();
  struct Pair {
    std::string chain, key;
  };
  // What the data plane serves for the profile, once every job is through.
  std::optional<Pair> Served(const std::string& profile);
  std::vector<std::string> CertificateNames() const;

  // The n-th request from now (0: none) breaks: the connection ends before the device saw it, or
  // after it did, with part of the answer.
  void Break(int request, bool after);
  int requests() const;
  // So many looks at the jobs until a commit is through; it fails where `commits_fail`.
  void SetJobLength(int looks, bool commits_fail = false);
  // Every answer to a request with this path prefix has this status and body until set again.
  void Answer(const std::string& prefix, int status, const std::string& body);
  // Every secret that was seen in a place where it does not belong: URL or header.
  bool KeySeenOutsideBody() const;

 private:
  struct Certificate {
    std::string id, name, chain, key;
  };
  using Profiles = std::map<std::string, std::string>;  // profile to certificate's id

  fakes::RawReply Serve(const fakes::RawRequest& request);
  fakes::RawReply Handle(const fakes::RawRequest& request) CF_REQUIRES(mutex_);
  fakes::RawReply Token(const fakes::RawRequest& request) CF_REQUIRES(mutex_);
  fakes::RawReply Certificates(const fakes::RawRequest& request, const std::string& rest)
      CF_REQUIRES(mutex_);
  fakes::RawReply PutKey(Certificate& certificate, const std::string& body) CF_REQUIRES(mutex_);
  fakes::RawReply Candidate(const fakes::RawRequest& request, const std::string& rest)
      CF_REQUIRES(mutex_);
  fakes::RawReply Jobs() CF_REQUIRES(mutex_);
  void EndJob() CF_REQUIRES(mutex_);
  Certificate* Find(const std::string& id) CF_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::map<std::string, Certificate> certificates_ CF_GUARDED_BY(mutex_);
  Profiles candidate_ CF_GUARDED_BY(mutex_), running_ CF_GUARDED_BY(mutex_);
  Profiles committing_ CF_GUARDED_BY(mutex_);
  int next_id_ CF_GUARDED_BY(mutex_) = 0;
  int job_ CF_GUARDED_BY(mutex_) = 0;  // looks that are left; 0: none is active
  int job_length_ CF_GUARDED_BY(mutex_) = 1;
  bool commits_fail_ CF_GUARDED_BY(mutex_) = false;
  int count_ CF_GUARDED_BY(mutex_) = 0;
  int break_at_ CF_GUARDED_BY(mutex_) = 0;
  bool break_after_ CF_GUARDED_BY(mutex_) = false;
  std::string answer_prefix_ CF_GUARDED_BY(mutex_), answer_body_ CF_GUARDED_BY(mutex_);
  int answer_status_ CF_GUARDED_BY(mutex_) = 0;
  bool key_outside_ CF_GUARDED_BY(mutex_) = false;
  fakes::RawHttpServer server_;  // last: its threads use what stands above
};

}  // namespace certflow::test

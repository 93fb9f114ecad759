#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "controller/base/mutex.h"
#include "controller/net/mail_client.h"
#include "tests/fakes/world/lifeline.h"

namespace certflow::fakes {

// A mail server that keeps what it was given. Outlives the processes that use it. Thread-safe.
class FakeMail : public net::MailClient {
 public:
  enum class Mood { kServe, kRefuseConnection, kHang };
  struct Message {
    std::vector<std::string> to;
    std::string text;
  };
  explicit FakeMail(Lifeline& life) : life_(life) {}
  void SetMood(Mood mood);
  std::vector<Message> messages() const;
  // Messages whose text holds this.
  std::size_t Count(std::string_view text) const;
  int attempts() const;
  int hanging() const { return hanging_; }  // calls that only the clock ends

  Result<void> Send(const Context& ctx, const net::MailServer& server,
                    const net::Envelope& envelope, const std::string& message) override;

 private:
  Lifeline& life_;
  std::atomic<int> hanging_{0};
  mutable Mutex mutex_;
  Mood mood_ CF_GUARDED_BY(mutex_) = Mood::kServe;
  int attempts_ CF_GUARDED_BY(mutex_) = 0;
  std::vector<Message> messages_ CF_GUARDED_BY(mutex_);
};

}  // namespace certflow::fakes

#include "tests/fakes/world/fake_mail.h"

#include <algorithm>

namespace certflow::fakes {

void FakeMail::SetMood(Mood mood) {
  MutexLock lock(mutex_);
  mood_ = mood;
}

std::vector<FakeMail::Message> FakeMail::messages() const {
  MutexLock lock(mutex_);
  return messages_;
}

std::size_t FakeMail::Count(std::string_view text) const {
  MutexLock lock(mutex_);
  return static_cast<std::size_t>(std::count_if(
      messages_.begin(), messages_.end(),
      [&](const Message& message) { return message.text.find(text) != std::string::npos; }));
}

int FakeMail::attempts() const {
  MutexLock lock(mutex_);
  return attempts_;
}

Result<void> FakeMail::Send(const Context& ctx, const net::MailServer&,
                            const net::Envelope& envelope, const std::string& message) {
  Mood mood;
  {
    MutexLock lock(mutex_);
    ++attempts_;
    mood = mood_;
  }
  if (mood == Mood::kHang) {
    ++hanging_;
    ctx.clock.WaitUntil(ctx.deadline, ctx.stop);
    --hanging_;
    return MakeError(ErrorCode::kTimeout, "Timeout", "the mail server does not answer");
  }
  if (mood == Mood::kRefuseConnection) {
    return MakeError(ErrorCode::kUnavailable, "ConnectionFailed", "connection refused");
  }
  return life_.Pass("mail", [&]() -> Result<void> {
    MutexLock lock(mutex_);
    messages_.push_back({envelope.to, message});
    return {};
  });
}

}  // namespace certflow::fakes

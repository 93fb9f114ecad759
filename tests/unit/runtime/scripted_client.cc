#include "tests/unit/runtime/scripted_client.h"

#include <utility>

namespace certflow::runtime {
namespace {

Error NotScripted() {
  return MakeError(ErrorCode::kInternal, "NotScripted", "this request is not in the script");
}

}  // namespace

void ScriptedClient::Page(Result<kube::ListPage> page) {
  MutexLock lock(mutex_);
  pages_.push_back(std::move(page));
}

void ScriptedClient::Stream(Feed feed) {
  MutexLock lock(mutex_);
  feeds_.push_back(std::move(feed));
}

void ScriptedClient::SetAnswer(Answer answer) {
  MutexLock lock(mutex_);
  answer_ = std::move(answer);
}

std::vector<Asked> ScriptedClient::asked() const {
  MutexLock lock(mutex_);
  return asked_;
}

bool ScriptedClient::AwaitAsked(std::size_t count) {
  std::unique_lock<Mutex> lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(10),
                           [&]() CF_NO_THREAD_SAFETY_ANALYSIS { return asked_.size() >= count; });
}

void ScriptedClient::Note(Asked asked) {
  MutexLock lock(mutex_);
  asked_.push_back(std::move(asked));
  changed_.notify_all();
}

Result<kube::Document> ScriptedClient::Ask(const Context& ctx, Asked asked) {
  Answer answer;
  {
    MutexLock lock(mutex_);
    answer = answer_;
  }
  asked.deadline = ctx.deadline;
  Note(asked);
  if (!answer) return NotScripted();
  return answer(ctx, asked);
}

Result<kube::Document> ScriptedClient::Get(const Context& ctx, const kube::Resource&,
                                           const kube::ObjectKey&, bool) {
  return Ask(ctx, {.verb = "get"});
}

Result<kube::ListPage> ScriptedClient::List(const Context& ctx, const kube::Resource&,
                                            const kube::ListOptions&, int limit,
                                            std::string_view continue_token,
                                            std::string_view resource_version) {
  Note({.verb = "list",
        .version = std::string(resource_version),
        .token = std::string(continue_token),
        .limit = limit,
        .deadline = ctx.deadline});
  MutexLock lock(mutex_);
  if (pages_.empty()) return NotScripted();
  Result<kube::ListPage> page = std::move(pages_.front());
  pages_.pop_front();
  return page;
}

Result<void> ScriptedClient::Watch(const Context& ctx, const kube::Resource&,
                                   const kube::WatchOptions& options, kube::WatchSink& sink) {
  Note({.verb = "watch",
        .version = options.resource_version,
        .stream = options.send_initial_events,
        .deadline = ctx.deadline});
  Feed feed;
  {
    MutexLock lock(mutex_);
    if (!feeds_.empty()) {
      feed = std::move(feeds_.front());
      feeds_.pop_front();
    }
  }
  if (feed) return feed(ctx, sink);
  if (ctx.clock.WaitUntil(ctx.deadline, ctx.stop)) {
    return MakeError(ErrorCode::kTimeout, "Deadline", "nothing came");
  }
  return MakeError(ErrorCode::kCancelled, "Stopped", "stopped");
}

Result<kube::Document> ScriptedClient::Create(const Context& ctx, const kube::Resource&,
                                              std::string_view, const std::string& body, bool) {
  return Ask(ctx, {.verb = "create", .body = body});
}

Result<kube::Document> ScriptedClient::MergePatch(const Context& ctx, const kube::Resource&,
                                                  const kube::ObjectKey&, std::string_view,
                                                  const std::string& patch, bool) {
  return Ask(ctx, {.verb = "patch", .body = patch});
}

Result<kube::Document> ScriptedClient::CreateSecretBody(const Context&, const kube::Resource&,
                                                        std::string_view, SecretBytes) {
  return NotScripted();
}

Result<kube::Document> ScriptedClient::ReplaceSecretBody(const Context&, const kube::Resource&,
                                                         const kube::ObjectKey&, SecretBytes) {
  return NotScripted();
}

Result<kube::Document> ScriptedClient::ReplaceStatus(const Context&, const kube::Resource&,
                                                     const kube::ObjectKey&, const std::string&) {
  return NotScripted();
}

Result<kube::Document> ScriptedClient::Apply(const Context&, const kube::Resource&,
                                             const kube::ObjectKey&, std::string_view, bool,
                                             const std::string&) {
  return NotScripted();
}

Result<void> ScriptedClient::Delete(const Context&, const kube::Resource&, const kube::ObjectKey&,
                                    const kube::DeleteOptions&) {
  return NotScripted();
}

Result<std::string> ScriptedClient::Raw(const Context&, std::string_view) { return NotScripted(); }

}  // namespace certflow::runtime

#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "controller/base/mutex.h"
#include "controller/kube/client.h"

namespace certflow::runtime {

// One request as the client saw it.
struct Asked {
  std::string verb;  // "list", "watch", "get", "create", "patch"
  std::string version;
  std::string token;
  int limit = 0;
  bool stream = false;  // a watch with initial events
  SteadyTime deadline{};
  std::string body;
};

// Answers each list and watch with the next of its script; a watch whose script is over stays open
// until its context ends. Gets, creates and patches go to a function. Thread-safe.
class ScriptedClient : public kube::Client {
 public:
  using Feed = std::function<Result<void>(const Context&, kube::WatchSink&)>;
  using Answer = std::function<Result<kube::Document>(const Context&, const Asked&)>;

  void Page(Result<kube::ListPage> page);
  void Stream(Feed feed);
  void SetAnswer(Answer answer);
  std::vector<Asked> asked() const;
  // Blocks until so many requests came; false after ten real seconds.
  [[nodiscard]] bool AwaitAsked(std::size_t count) CF_NO_THREAD_SAFETY_ANALYSIS;

  Result<kube::Document> Get(const Context& ctx, const kube::Resource&, const kube::ObjectKey&,
                             bool) override;
  Result<kube::ListPage> List(const Context& ctx, const kube::Resource&, const kube::ListOptions&,
                              int limit, std::string_view continue_token,
                              std::string_view resource_version) override;
  Result<void> Watch(const Context& ctx, const kube::Resource&, const kube::WatchOptions& options,
                     kube::WatchSink& sink) override;
  Result<kube::Document> Create(const Context& ctx, const kube::Resource&, std::string_view,
                                const std::string& body, bool) override;
  Result<kube::Document> CreateSecretBody(const Context&, const kube::Resource&, std::string_view,
                                          SecretBytes) override;
  Result<kube::Document> ReplaceSecretBody(const Context&, const kube::Resource&,
                                           const kube::ObjectKey&, SecretBytes) override;
  Result<kube::Document> ReplaceStatus(const Context&, const kube::Resource&,
                                       const kube::ObjectKey&, const std::string&) override;
  Result<kube::Document> MergePatch(const Context& ctx, const kube::Resource&,
                                    const kube::ObjectKey&, std::string_view,
                                    const std::string& patch, bool) override;
  Result<kube::Document> Apply(const Context&, const kube::Resource&, const kube::ObjectKey&,
                               std::string_view, bool, const std::string&) override;
  Result<void> Delete(const Context&, const kube::Resource&, const kube::ObjectKey&,
                      const kube::DeleteOptions&) override;
  Result<std::string> Raw(const Context&, std::string_view) override;

 private:
  void Note(Asked asked);
  Result<kube::Document> Ask(const Context& ctx, Asked asked);

  mutable Mutex mutex_;
  CondVar changed_;
  std::vector<Asked> asked_ CF_GUARDED_BY(mutex_);
  std::deque<Result<kube::ListPage>> pages_ CF_GUARDED_BY(mutex_);
  std::deque<Feed> feeds_ CF_GUARDED_BY(mutex_);
  Answer answer_ CF_GUARDED_BY(mutex_);
};

}  // namespace certflow::runtime

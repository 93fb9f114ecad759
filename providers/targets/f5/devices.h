#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "controller/base/mutex.h"
#include "controller/net/http_client.h"
#include "controller/seams/connector.h"
#include "providers/targets/f5/answers.h"
#include "providers/targets/f5/session.h"
#include "providers/targets/f5/settings.h"

namespace certflow::providers::f5 {

// All virtual servers, of all partitions and folders, with their SSL profiles.
struct VirtualServerList {
  std::vector<VirtualServer> items;
  bool complete = true;
};
struct View;

// The status of a device group whose units are equal.
inline constexpr std::string_view kInSync = "In Sync";

// What all who work on one pair share: a session a unit, and what was learned about the pair that
// is dear to ask for again. Losing it costs a few requests. Thread-safe.
class Pair {
 public:
  explicit Pair(std::vector<std::unique_ptr<Session>> units) : units_(std::move(units)) {}

  std::size_t size() const { return units_.size(); }
  Session& unit(std::size_t index) const { return *units_[index]; }

  // The unit that was active when somebody looked last.
  std::optional<std::size_t> active() const CF_EXCLUDES(mutex_);
  void SetActive(std::optional<std::size_t> unit) CF_EXCLUDES(mutex_);

  // The group that fails over; an empty path: a unit that stands alone.
  struct Group {
    std::string path;
    bool auto_sync = false;
  };
  static constexpr Duration kGroupLife = std::chrono::minutes(5);
  std::optional<Group> group(SteadyTime now) const CF_EXCLUDES(mutex_);
  void SetGroup(Group group, SteadyTime now) CF_EXCLUDES(mutex_);

  // The virtual servers as somebody listed them within the last minute; null where nobody did.
  static constexpr Duration kListLife = std::chrono::minutes(1);
  std::shared_ptr<const VirtualServerList> virtual_servers(SteadyTime now) const
      CF_EXCLUDES(mutex_);
  void SetVirtualServers(std::shared_ptr<const VirtualServerList> list, SteadyTime now)
      CF_EXCLUDES(mutex_);

  // Whether what waits for a sync was written by us: seen in sync, then changed.
  bool changed_by_us() const CF_EXCLUDES(mutex_);
  // Before each change.
  void NoteChange(SteadyTime now) CF_EXCLUDES(mutex_);
  // How many there were; a status that was asked for before a change says nothing about it.
  std::uint64_t changes() const CF_EXCLUDES(mutex_);
  // The sync status as it was read; `changes` before the question.
  void NoteStatus(std::string status, std::uint64_t changes, SteadyTime now) CF_EXCLUDES(mutex_);
  // As anybody read it last, if that is no longer ago than kStatusLife and nothing was done since.
  static constexpr Duration kStatusLife = std::chrono::seconds(2);
  std::optional<std::string> status(SteadyTime now) const CF_EXCLUDES(mutex_);
  // A config-sync was asked for.
  void NoteSync(SteadyTime now) CF_EXCLUDES(mutex_);
  // Whether to ask (again): devices sometimes accept it and do nothing.
  static constexpr Duration kSyncPatience = std::chrono::seconds(30);
  static constexpr int kMaxSyncs = 5;
  bool MayAskToSync(SteadyTime now) const CF_EXCLUDES(mutex_);
  // Since we changed or synced something; nothing where we did not.
  std::optional<Duration> idle_for(SteadyTime now) const CF_EXCLUDES(mutex_);

  // What was switched a short while ago and waits for the sync, as it was read back, by binding.
  // Bounded in time and number, and gone with the unit that was active then: who finds nothing
  // looks at everything.
  static constexpr Duration kWaitingLife = std::chrono::minutes(2);
  static constexpr std::size_t kMaxWaiting = 500;
  void NoteWaiting(const std::string& binding, std::shared_ptr<const View> as_read, SteadyTime now)
      CF_EXCLUDES(mutex_);
  void ForgetWaiting(const std::string& binding) CF_EXCLUDES(mutex_);
  std::shared_ptr<const View> waiting(const std::string& binding, SteadyTime now) const
      CF_EXCLUDES(mutex_);

 private:
  const std::vector<std::unique_ptr<Session>> units_;
  mutable Mutex mutex_;
  std::optional<std::size_t> active_ CF_GUARDED_BY(mutex_);
  std::optional<Group> group_ CF_GUARDED_BY(mutex_);
  SteadyTime group_until_ CF_GUARDED_BY(mutex_);
  std::shared_ptr<const VirtualServerList> list_ CF_GUARDED_BY(mutex_);
  SteadyTime list_until_ CF_GUARDED_BY(mutex_);
  bool changed_by_us_ CF_GUARDED_BY(mutex_) = false;
  std::uint64_t changes_ CF_GUARDED_BY(mutex_) = 0;
  std::optional<SteadyTime> busy_ CF_GUARDED_BY(mutex_);  // when we did something last
  std::optional<std::string> status_ CF_GUARDED_BY(mutex_);
  SteadyTime status_until_ CF_GUARDED_BY(mutex_);
  struct Waiting {
    std::shared_ptr<const View> as_read;
    SteadyTime until;
    std::optional<std::size_t> unit;
  };
  std::map<std::string, Waiting> waiting_ CF_GUARDED_BY(mutex_);
  std::optional<SteadyTime> asked_to_sync_ CF_GUARDED_BY(mutex_);
  int syncs_ CF_GUARDED_BY(mutex_) = 0;  // since it was in sync last
};

// A pair with what one reconcile needs to talk to it.
struct Connection {
  std::shared_ptr<Pair> pair;
  DeviceSettings settings;
  Credentials who;
};

// The pairs that the controller talks to, by address and user, so that all targets of one pair
// share its tokens. A token that nobody has used for a while is given back, and so are all of them
// when this object ends; one of credentials that have changed as soon as nobody uses it.
// Thread-safe.
class Devices {
 public:
  static constexpr Duration kIdle = std::chrono::minutes(3);
  static constexpr Duration kPatience{2'000};      // for giving one token back
  static constexpr Duration kAllPatience{10'000};  // for all of them at the end

  // The clock is for idleness alone; deadlines and tokens go by the caller's.
  explicit Devices(net::HttpClient& http, std::unique_ptr<Clock> clock = MakeSystemClock());
  ~Devices();
  Devices(const Devices&) = delete;
  Devices& operator=(const Devices&) = delete;

  // `user` is what usernameSecretRef holds, empty where the settings name one. kInvalid for the
  // settings.
  Result<Connection> Connect(const seams::ProviderRef& target, const SecretBytes& user,
                             SecretBytes password) CF_EXCLUDES(mutex_);
  // Pairs that are remembered; for tests.
  std::size_t size() const CF_EXCLUDES(mutex_);

 private:
  struct Known {
    std::shared_ptr<Pair> pair;
    SteadyTime used;
  };
  std::shared_ptr<Pair> PairFor(const std::string& key, const std::string& object,
                                const DeviceSettings& settings) CF_EXCLUDES(mutex_);
  std::shared_ptr<Pair> MakePair(const DeviceSettings& settings) const;
  void Tidy(const std::stop_token& stop);
  std::vector<std::shared_ptr<Pair>> TakeIdle() CF_REQUIRES(mutex_);
  void EndSessions(const std::vector<std::shared_ptr<Pair>>& pairs);

  net::HttpClient& http_;
  const std::unique_ptr<Clock> clock_;
  mutable Mutex mutex_;
  std::map<std::string, Known> known_ CF_GUARDED_BY(mutex_);
  std::map<std::string, std::string> key_of_ CF_GUARDED_BY(mutex_);  // by the object's uid
  std::vector<std::shared_ptr<Pair>> retired_ CF_GUARDED_BY(mutex_);
  std::jthread tidier_ CF_GUARDED_BY(mutex_);  // from the first pair on
};

}  // namespace certflow::providers::f5

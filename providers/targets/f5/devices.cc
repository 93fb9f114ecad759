#include "providers/targets/f5/devices.h"

#include <algorithm>
#include <utility>

#include "controller/base/base64.h"
#include "controller/seams/secret_store.h"

namespace certflow::providers::f5 {
namespace {

constexpr Duration kLookForIdle = std::chrono::seconds(30);

std::shared_ptr<const net::TlsOptions> TlsOf(const DeviceSettings& settings) {
  auto tls = std::make_shared<net::TlsOptions>();
  tls->ca_pem = settings.ca_bundle;
  tls->server_name = settings.server_name;
  tls->public_key_pins = settings.public_key_pins;
  return tls;
}

// Everything that makes a session another one. The digest is compared and goes nowhere.
std::string KeyOf(const DeviceSettings& settings, const Credentials& who) {
  std::string text = who.user + "\n" + who.provider + "\n" + settings.ca_bundle + "\n" +
                     settings.server_name + "\n" + settings.device_group + "\n";
  for (const net::HostPort& host : settings.hosts) text += net::FormatHostPort(host) + "\n";
  for (const std::string& pin : settings.public_key_pins) text += pin + "\n";
  return Sha256Hex(text + Sha256(who.password.Reveal()));
}

}  // namespace

std::optional<std::size_t> Pair::active() const {
  MutexLock lock(mutex_);
  return active_;
}
void Pair::SetActive(std::optional<std::size_t> unit) {
  MutexLock lock(mutex_);
  active_ = unit;
}
std::optional<Pair::Group> Pair::group(SteadyTime now) const {
  MutexLock lock(mutex_);
  return now < group_until_ ? group_ : std::nullopt;
}
void Pair::SetGroup(Group group, SteadyTime now) {
  MutexLock lock(mutex_);
  group_ = std::move(group);
  group_until_ = now + kGroupLife;
}
std::shared_ptr<const VirtualServerList> Pair::virtual_servers(SteadyTime now) const {
  MutexLock lock(mutex_);
  return now < list_until_ ? list_ : nullptr;
}
void Pair::SetVirtualServers(std::shared_ptr<const VirtualServerList> list, SteadyTime now) {
  MutexLock lock(mutex_);
  list_ = std::move(list);
  list_until_ = now + kListLife;
}
bool Pair::changed_by_us() const {
  MutexLock lock(mutex_);
  return changed_by_us_;
}
void Pair::NoteChange(SteadyTime now) {
  MutexLock lock(mutex_);
  changed_by_us_ = true;
  ++changes_;
  busy_ = now;
  status_.reset();
}
std::uint64_t Pair::changes() const {
  MutexLock lock(mutex_);
  return changes_;
}
void Pair::NoteStatus(std::string status, std::uint64_t changes, SteadyTime now) {
  MutexLock lock(mutex_);
  if (changes != changes_) return;
  status_ = std::move(status);
  status_until_ = now + kStatusLife;
  if (status_ != kInSync) return;
  changed_by_us_ = false;
  asked_to_sync_.reset();
  syncs_ = 0;
}
std::optional<std::string> Pair::status(SteadyTime now) const {
  MutexLock lock(mutex_);
  return now < status_until_ ? status_ : std::nullopt;
}
void Pair::NoteSync(SteadyTime now) {
  MutexLock lock(mutex_);
  asked_to_sync_ = busy_ = now;
  ++syncs_;
  ++changes_;
  status_.reset();
}
std::optional<Duration> Pair::idle_for(SteadyTime now) const {
  MutexLock lock(mutex_);
  return busy_ ? std::optional<Duration>(std::chrono::floor<Duration>(now - *busy_)) : std::nullopt;
}
void Pair::NoteWaiting(const std::string& binding, std::shared_ptr<const View> as_read,
                       SteadyTime now) {
  MutexLock lock(mutex_);
  std::erase_if(waiting_, [now](const auto& entry) { return entry.second.until <= now; });
  if (waiting_.size() >= kMaxWaiting && !waiting_.contains(binding)) return;
  waiting_[binding] = {std::move(as_read), now + kWaitingLife, active_};
}
void Pair::ForgetWaiting(const std::string& binding) {
  MutexLock lock(mutex_);
  waiting_.erase(binding);
}
std::shared_ptr<const View> Pair::waiting(const std::string& binding, SteadyTime now) const {
  MutexLock lock(mutex_);
  const auto found = waiting_.find(binding);
  if (found == waiting_.end() || found->second.until <= now) return nullptr;
  return found->second.unit == active_ ? found->second.as_read : nullptr;
}
bool Pair::MayAskToSync(SteadyTime now) const {
  MutexLock lock(mutex_);
  return syncs_ < kMaxSyncs && (!asked_to_sync_ || now - *asked_to_sync_ >= kSyncPatience);
}

Devices::Devices(net::HttpClient& http, std::unique_ptr<Clock> clock)
    : http_(http), clock_(std::move(clock)) {}

Devices::~Devices() {
  std::jthread tidier;
  {
    MutexLock lock(mutex_);
    tidier = std::move(tidier_);
  }
  tidier = {};  // asked to stop, and seen out
  std::vector<std::shared_ptr<Pair>> all;
  {
    MutexLock lock(mutex_);
    all = std::exchange(retired_, {});
    for (auto& [key, known] : known_) all.push_back(std::move(known.pair));
    known_.clear();
  }
  EndSessions(all);
}

std::size_t Devices::size() const {
  MutexLock lock(mutex_);
  return known_.size();
}

Result<Connection> Devices::Connect(const seams::ProviderRef& target, const SecretBytes& user,
                                    SecretBytes password) {
  CF_ASSIGN_OR_RETURN(DeviceSettings settings, ParseDeviceSettings(target.settings));
  Credentials who;
  who.provider = settings.login_provider;
  who.user = settings.username.empty() ? seams::WithoutLineEnd(user.Reveal()) : settings.username;
  who.password = SecretBytes(seams::WithoutLineEnd(password.Reveal()));
  if (who.user.empty() || who.password.empty()) {
    return MakeError(ErrorCode::kInvalid, "InvalidSettings",
                     who.user.empty() ? "username: neither it nor usernameSecretRef says a user"
                                      : "passwordSecretRef: the password is empty");
  }
  auto pair = PairFor(KeyOf(settings, who), target.uid, settings);
  return Connection{std::move(pair), std::move(settings), std::move(who)};
}

std::shared_ptr<Pair> Devices::MakePair(const DeviceSettings& settings) const {
  std::vector<std::unique_ptr<Session>> units;
  const auto tls = TlsOf(settings);
  for (const net::HostPort& host : settings.hosts) {
    units.push_back(std::make_unique<Session>(http_, "https://" + net::FormatHostPort(host), tls));
  }
  return std::make_shared<Pair>(std::move(units));
}

std::shared_ptr<Pair> Devices::PairFor(const std::string& key, const std::string& object,
                                       const DeviceSettings& settings) {
  MutexLock lock(mutex_);
  std::string& last = key_of_[object];
  const std::string before = std::exchange(last, key);
  const bool orphaned = !before.empty() && before != key &&
                        std::none_of(key_of_.begin(), key_of_.end(), [&before](const auto& entry) {
                          return entry.second == before;
                        });
  if (const auto old = known_.find(before); orphaned && old != known_.end()) {
    retired_.push_back(std::move(old->second.pair));
    known_.erase(old);
  }
  if (!tidier_.joinable()) {
    tidier_ = std::jthread([this](const std::stop_token& stop) { Tidy(stop); });
  }
  Known& known = known_[key];
  if (!known.pair) known.pair = MakePair(settings);
  known.used = clock_->Steady();
  return known.pair;
}

// Those that only this object holds.
std::vector<std::shared_ptr<Pair>> Devices::TakeIdle() {
  std::vector<std::shared_ptr<Pair>> out;
  const SteadyTime now = clock_->Steady();
  for (auto it = known_.begin(); it != known_.end();) {
    if (it->second.pair.use_count() > 1) it->second.used = now;
    if (now - it->second.used < kIdle) {
      ++it;
      continue;
    }
    out.push_back(std::move(it->second.pair));
    std::erase_if(key_of_, [&it](const auto& entry) { return entry.second == it->first; });
    it = known_.erase(it);
  }
  for (auto it = retired_.begin(); it != retired_.end();) {
    if (it->use_count() > 1) {
      ++it;
      continue;
    }
    out.push_back(std::move(*it));
    it = retired_.erase(it);
  }
  return out;
}

void Devices::EndSessions(const std::vector<std::shared_ptr<Pair>>& pairs) {
  const Context all = Context{*clock_}.WithTimeout(kAllPatience);
  for (const auto& pair : pairs) {
    for (std::size_t unit = 0; unit < pair->size(); ++unit) {
      pair->unit(unit).End(all.WithTimeout(kPatience));
    }
  }
}

void Devices::Tidy(const std::stop_token& stop) {
  while (clock_->WaitUntil(clock_->Steady() + kLookForIdle, stop)) {
    std::vector<std::shared_ptr<Pair>> idle;
    {
      MutexLock lock(mutex_);
      idle = TakeIdle();
    }
    EndSessions(idle);
  }
}

}  // namespace certflow::providers::f5

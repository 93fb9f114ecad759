#include "providers/solvers/rfc2136_solver.h"

#include <map>
#include <optional>
#include <utility>

#include "controller/base/backoff.h"
#include "controller/base/mutex.h"
#include "providers/solvers/dns_lookup.h"
#include "providers/solvers/dns_transport.h"

namespace certflow::providers::solvers {
namespace {

constexpr std::uint16_t kDnsPort = 53;
constexpr std::size_t kMaxPlaces = 256;
constexpr Duration kPlaceLife = std::chrono::minutes(1);

struct Place {
  std::string name;
  std::string zone;
  SteadyTime until;
};

class Rfc2136Solver final : public seams::ChallengeSolver {
 public:
  explicit Rfc2136Solver(Rfc2136Options options)
      : options_(std::move(options)), lookup_(options_.nameserver, options_.resolvers) {}

  seams::ChallengeType type() const override { return seams::ChallengeType::kDns01; }
  Result<void> Present(const Context& ctx, const seams::Challenge& challenge) override {
    return Update(ctx, challenge, true);
  }
  Result<void> Cleanup(const Context& ctx, const seams::Challenge& challenge) override {
    return Update(ctx, challenge, false);
  }
  Result<bool> Visible(const Context& ctx, const seams::Challenge& challenge) override;

 private:
  Result<Place> Locate(const Context& ctx, const std::string& domain);
  Result<Place> LookUp(const Context& ctx, const std::string& domain);
  Result<void> Update(const Context& ctx, const seams::Challenge& challenge, bool add);
  Result<bool> VisibleAt(const Context& ctx, const net::HostPort& server, const Place& place,
                         const std::string& value);

  const Rfc2136Options options_;
  const DnsLookup lookup_;
  Mutex mutex_;
  std::map<std::string, Place> places_ CF_GUARDED_BY(mutex_);
};

Result<Place> Rfc2136Solver::LookUp(const Context& ctx, const std::string& domain) {
  CF_ASSIGN_OR_RETURN(std::string name, CheckName("_acme-challenge." + domain));
  CF_ASSIGN_OR_RETURN(name, lookup_.FollowCnames(ctx, std::move(name)));
  std::string zone = options_.zone;
  if (zone.empty()) {
    CF_ASSIGN_OR_RETURN(zone, lookup_.FindZone(ctx, name));
  }
  if (!IsWithin(name, zone)) {
    return MakeError(ErrorCode::kInvalid, "DnsWrongZone", name + " is not in the zone " + zone);
  }
  return Place{std::move(name), std::move(zone), ctx.clock.Steady() + kPlaceLife};
}

// Remembered for a moment, because publishing is followed by a look.
Result<Place> Rfc2136Solver::Locate(const Context& ctx, const std::string& domain) {
  {
    MutexLock lock(mutex_);
    const auto it = places_.find(domain);
    if (it != places_.end() && ctx.clock.Steady() < it->second.until) return it->second;
  }
  CF_ASSIGN_OR_RETURN(Place place, LookUp(ctx, domain));
  MutexLock lock(mutex_);
  if (places_.size() >= kMaxPlaces) places_.clear();
  places_.insert_or_assign(domain, place);
  return place;
}

Result<void> Rfc2136Solver::Update(const Context& ctx, const seams::Challenge& challenge,
                                   bool add) {
  CF_ASSIGN_OR_RETURN(const Place place, Locate(ctx, challenge.domain));
  const std::string what =
      "update " + place.name + " at " + net::FormatHostPort(options_.nameserver);
  const TxtUpdate update{place.zone, place.name, challenge.dns_value, add};
  const WallTime now = ctx.clock.Now();
  CF_ASSIGN_OR_RETURN(
      const SignedMessage message,
      SignMessage(options_.key, MakeUpdate(static_cast<std::uint16_t>(JitterWord()), update), now));
  const Result<std::string> reply = ExchangeWith(ctx, options_.nameserver, message.bytes);
  if (!reply.ok()) return Annotate(reply.error(), what);
  Result<void> accepted = CheckSignedReply(options_.key, message, *reply, ctx.clock.Now());
  if (!accepted.ok()) return Annotate(std::move(accepted).error(), what);
  return {};
}

// Every address of the server that answers must have the value, and one must answer: a server's
// IPv6 address that cannot be reached from here must not stop us.
Result<bool> Rfc2136Solver::VisibleAt(const Context& ctx, const net::HostPort& server,
                                      const Place& place, const std::string& value) {
  CF_ASSIGN_OR_RETURN(const std::vector<std::string> addresses,
                      net::ResolveUserGiven(ctx, server.host));
  std::optional<Error> last;
  bool answered = false;
  for (const std::string& address : addresses) {
    const Result<bool> has = lookup_.HasTxt(ctx, {address, server.port}, place.name, value);
    if (!has.ok()) {
      if (has.error().code == ErrorCode::kCancelled) return has.error();
      last = has.error();
      continue;
    }
    if (!*has) return false;
    answered = true;
  }
  if (answered) return true;
  return last.value_or(MakeError(ErrorCode::kUnavailable, "DnsUnavailable",
                                 Sanitize(server.host) + " has no address"));
}

Result<bool> Rfc2136Solver::Visible(const Context& ctx, const seams::Challenge& challenge) {
  CF_ASSIGN_OR_RETURN(const Place place, Locate(ctx, challenge.domain));
  std::vector<net::HostPort> servers = options_.authoritative;
  if (servers.empty() && options_.nameserver.port != kDnsPort) servers = {options_.nameserver};
  if (servers.empty()) {
    CF_ASSIGN_OR_RETURN(const std::vector<std::string> names, lookup_.ServersOf(ctx, place.zone));
    for (const std::string& name : names) servers.push_back({name, kDnsPort});
  }
  for (const net::HostPort& server : servers) {
    CF_ASSIGN_OR_RETURN(const bool visible, VisibleAt(ctx, server, place, challenge.dns_value));
    if (!visible) return false;
  }
  return true;
}

}  // namespace

std::unique_ptr<seams::ChallengeSolver> MakeRfc2136Solver(Rfc2136Options options) {
  return std::make_unique<Rfc2136Solver>(std::move(options));
}

}  // namespace certflow::providers::solvers

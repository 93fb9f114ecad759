#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "controller/base/mutex.h"
#include "controller/net/http_client.h"
#include "tests/fakes/kube/memory_api_server.h"
#include "tests/fakes/world/activity.h"
#include "tests/fakes/world/lifeline.h"

namespace certflow::fakes {

// What a real API server does beside what MemoryApiServer knows, as far as certflow leans on it:
// admission answers the probe of the approval policy, managedFields tell when an annotation was
// written. One door for people, one for the process, which is counted and can be cut off.
class FrontDoor : public net::HttpClient {
 public:
  FrontDoor(MemoryApiServer& server, Activity& activity, Clock& clock, Lifeline* life)
      : server_(server), activity_(activity), clock_(clock), life_(life) {}

  // Whether the admission policy refuses forged decisions.
  void Enforce(bool enforced) { enforced_ = enforced; }
  // Whether writes of the Lease are interactions that a process can die at.
  void CountLeases(bool count) { count_leases_ = count; }
  // A planted fault: a write that `drop` says yes to is answered as if it had been done, and has
  // not been. Set before the process starts.
  using Drop = std::function<bool(const net::HttpRequest&)>;
  void Forget(Drop drop) { drop_ = std::move(drop); }
  // When an annotation of an object got its value; shared by both doors.
  struct Notes {
    Mutex mutex;
    std::map<std::string, WallTime> written CF_GUARDED_BY(mutex);  // "plural/ns/name key=value"
  };
  void Share(Notes& notes) { notes_ = &notes; }
  // Whoever wrote the object's annotations writes another of their fields: the record moves to now.
  void Touch(const std::string& plural, const std::string& ns, const std::string& name);
  // Somebody clears the record of who wrote the specs of policies: it stays at the first time.
  void FreezeSpecTimes(bool frozen) { frozen_ = frozen; }

  Result<net::HttpResponse> Do(const Context& ctx, const net::HttpRequest& request) override;
  Result<void> Stream(const Context& ctx, const net::HttpRequest& request,
                      net::StreamSink& sink) override;

 private:
  Result<net::HttpResponse> Serve(const Context& ctx, const net::HttpRequest& request);
  void NoteWrite(const std::string& plural, const std::string& body);
  void AddManagedFields(const std::string& plural, std::string& body);
  WallTime SpecTime(const std::string& plural, const nlohmann::json& metadata) const;

  MemoryApiServer& server_;
  Activity& activity_;
  Clock& clock_;
  Lifeline* const life_;  // null: people's door
  Notes* notes_ = nullptr;
  std::atomic<bool> enforced_{true};
  std::atomic<bool> count_leases_{false};
  std::atomic<bool> frozen_{false};
  Drop drop_;
};

}  // namespace certflow::fakes

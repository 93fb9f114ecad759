#pragma once

#include <set>
#include <string>
#include <vector>

#include "controller/seams/target.h"

namespace certflow::steps {

// What is on the device, which outlives connections to it.
struct Device {
  std::set<std::string> staged;
  std::string active;
  std::vector<std::string> notes;
};

class DeviceTarget : public seams::Target {
 public:
  explicit DeviceTarget(Device& device) : device_(device) {}
  Result<seams::TargetState> Observe(const Context&, const seams::Binding&) override {
    seams::TargetState state;
    state.active = device_.active;
    state.notes = device_.notes;
    return state;
  }
  Result<void> Stage(const Context&, const seams::Binding&, const seams::Bundle& bundle) override {
    device_.staged.insert(bundle.version);
    return {};
  }
  Result<void> Activate(const Context&, const seams::Binding&,
                        const seams::StagedRef& which) override {
    device_.active = which.version;
    return {};
  }
  Result<void> Deactivate(const Context&, const seams::Binding&, const seams::WayBack&) override {
    device_.active.clear();
    return {};
  }
  Result<void> Prune(const Context&, const seams::Binding&, const seams::KeepList&) override {
    return {};
  }
  Result<void> Discard(const Context&, const seams::Binding&, const std::string& version) override {
    if (version != device_.active) device_.staged.erase(version);
    return {};
  }

 private:
  Device& device_;
};

}  // namespace certflow::steps

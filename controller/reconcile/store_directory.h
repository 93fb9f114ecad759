#pragma once

#include "controller/reconcile/world.h"
#include "controller/steps/step.h"

namespace certflow::reconcile {

// steps::Directory over the informers' stores.
class StoreDirectory : public steps::Directory {
 public:
  explicit StoreDirectory(const World& world) : world_(world) {}
  Result<seams::ProviderRef> Authority(const api::Reference& what,
                                       std::string_view from_ns) const override;
  Result<seams::ProviderRef> Target(const api::Reference& what,
                                    std::string_view from_ns) const override;
  Result<seams::ProviderRef> Channel(const api::Reference& what,
                                     std::string_view from_ns) const override;
  Result<void> AuthorityReady(const api::Reference& what) const override;
  // The targets of that type in the namespace that have the labels, by name.
  std::vector<api::Reference> TargetsWith(const api::LabelSelector& selector, std::string_view type,
                                          std::string_view ns) const;
  Result<std::string> TargetReady(const api::Reference& what) const override;
  std::vector<steps::AtHand> AtHandFor(const api::Run& run) const override;

 private:
  Result<seams::ProviderRef> Find(const runtime::Store<api::ProviderObject>& store,
                                  std::string_view kind, const api::Reference& what,
                                  std::string_view from_ns) const;
  const World& world_;
};

// An object as its provider sees it.
seams::ProviderRef AsProviderRef(const api::ProviderObject& object);

}  // namespace certflow::reconcile

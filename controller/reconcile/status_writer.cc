#include "controller/reconcile/status_writer.h"

namespace certflow::reconcile {

Result<void> StatusWriter::Write(const Context& ctx, api::Run& run) {
  CF_ASSIGN_OR_RETURN(auto written, client_.ReplaceStatus(ctx, api::RunResource(), run.meta.key(),
                                                          api::EncodeRunStatus(run)));
  run.meta.resource_version = written.resource_version();
  auto stored = std::make_shared<api::Run>(run);
  api::Compact(*stored);
  world_.runs.Observe(run.meta.key(), std::move(stored));
  return {};
}

Result<void> StatusWriter::Write(const Context& ctx, api::Workflow& workflow) {
  CF_ASSIGN_OR_RETURN(auto written,
                      client_.ReplaceStatus(ctx, api::WorkflowResource(), workflow.meta.key(),
                                            api::EncodeWorkflowStatus(workflow)));
  workflow.meta.resource_version = written.resource_version();
  world_.workflows.Observe(workflow.meta.key(), std::make_shared<api::Workflow>(workflow));
  return {};
}

Result<void> StatusWriter::Write(const Context& ctx, api::ProviderObject& object,
                                 const kube::Resource& resource,
                                 runtime::Store<api::ProviderObject>& store) {
  CF_ASSIGN_OR_RETURN(auto written,
                      client_.ReplaceStatus(ctx, resource, object.meta.key(),
                                            api::EncodeProviderStatus(object, resource)));
  object.meta.resource_version = written.resource_version();
  store.Observe(object.meta.key(), std::make_shared<api::ProviderObject>(object));
  return {};
}

}  // namespace certflow::reconcile

#pragma once

#include <map>
#include <string>
#include <string_view>

#include "controller/api/run.h"

namespace certflow::workflow {

// What a workflow's notifications may ask for (crds/).
inline constexpr std::string_view kEventApprovalRequested = "ApprovalRequested";
inline constexpr std::string_view kEventConfirmationFailed = "ConfirmationFailed";
inline constexpr std::string_view kEventRenewalFailed = "RenewalFailed";
inline constexpr std::string_view kEventDeploymentFailed = "DeploymentFailed";
inline constexpr std::string_view kEventValidationFailed = "ValidationFailed";
inline constexpr std::string_view kEventMitigating = "Mitigating";
inline constexpr std::string_view kEventRolledBack = "RolledBack";
inline constexpr std::string_view kEventCompleted = "Completed";
inline constexpr std::string_view kEventExpiring = "Expiring";

inline constexpr int kOutboxAttempts = 12;

// Puts an entry into the outbox for every rule that wants the event. `part` tells apart what may
// happen more than once in a run ("renewal", a gate); the same event and part is told once.
void Tell(const api::Plan& plan, api::Run& run, std::string_view event, std::string_view part);

// The run's fields for templates, one line each: "certificate.commonName" and so on
// (docs/notifications.md).
std::map<std::string, std::string> TemplateFields(const api::Run& run, const api::Plan& plan,
                                                  std::string_view event);

struct RenderedMail {
  std::string subject, body;
  std::string problem;  // the own template that could not be used, and why; the default was taken
};
RenderedMail RenderMail(const api::Run& run, const api::Plan& plan, const api::OutboxEntry& entry);

// Replaces "{{ .a.b }}" by the field of that name. kInvalid, "TemplateInvalid", for an unknown
// field or an unclosed brace. Values are put in as they are: the text is plain and is not looked at
// again.
Result<std::string> RenderTemplate(std::string_view text,
                                   const std::map<std::string, std::string>& fields);

}  // namespace certflow::workflow

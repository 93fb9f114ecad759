#include "controller/runtime/health.h"

#include <algorithm>
#include <utility>

namespace certflow::runtime {

bool Health::Report::ok() const {
  return std::none_of(findings.begin(), findings.end(),
                      [](const Finding& finding) { return finding.failure.has_value(); });
}

std::string Health::Report::Text() const {
  std::string text;
  for (const Finding& finding : findings) {
    text += finding.failure ? "[-]" + finding.name + " failed: " + *finding.failure
                            : "[+]" + finding.name + " ok";
    text += '\n';
  }
  return text;
}

void Health::Add(Probe probe, std::string name, Check check) {
  MutexLock lock(mutex_);
  for (Entry& entry : entries_) {
    if (entry.probe != probe || entry.name != name) continue;
    entry.check = std::move(check);
    return;
  }
  entries_.push_back({probe, std::move(name), std::move(check)});
}

Health::Report Health::Run(Probe probe) const {
  std::vector<Entry> entries;
  {
    MutexLock lock(mutex_);
    entries = entries_;
  }
  Report report;
  for (const Entry& entry : entries) {
    if (entry.probe != probe) continue;
    const Result<void> result = entry.check();
    Finding finding{entry.name, std::nullopt};
    if (!result.ok()) finding.failure = Sanitize(result.error().message);
    report.findings.push_back(std::move(finding));
  }
  return report;
}

}  // namespace certflow::runtime

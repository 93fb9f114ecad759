#include <algorithm>
#include <string>

#include "controller/base/ascii.h"
#include "controller/pki/certificate.h"

namespace certflow::pki {
namespace {

constexpr std::size_t kMaxNameBytes = 253;
constexpr std::size_t kMaxLabelBytes = 63;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// What is wrong with a label, or empty.
std::string_view LabelFault(std::string_view label) {
  if (label.empty()) return "has an empty label";
  if (label.size() > kMaxLabelBytes) return "has a label of more than 63 characters";
  if (label.front() == '-' || label.back() == '-') return "has a label with a hyphen at its end";
  const bool ldh = std::all_of(label.begin(), label.end(), [](char c) {
    return IsDigit(c) || (c >= 'a' && c <= 'z') || c == '-';
  });
  if (!ldh) return "may hold only a-z, 0-9, hyphens and dots, and a \"*.\" in front";
  return {};
}

std::string_view NameFault(std::string_view name) {
  if (name.empty()) return "is empty";
  if (name.size() > kMaxNameBytes) return "has more than 253 characters";
  if (name.starts_with("*.")) name.remove_prefix(2);
  std::string_view label;
  for (std::size_t start = 0; start <= name.size(); start += label.size() + 1) {
    label = name.substr(start, name.find('.', start) - start);
    if (const std::string_view fault = LabelFault(label); !fault.empty()) return fault;
  }
  // No top-level domain is a number, so this is an address (RFC 3696 section 2).
  if (std::all_of(label.begin(), label.end(), IsDigit)) return "is an address, not a name";
  return {};
}

}  // namespace

bool NameCovers(const std::vector<std::string>& dns_names, std::string_view name) {
  const std::size_t dot = name.find('.');
  // The label that a wildcard may stand for, and what must follow it with its dot.
  const bool has_label = dot != std::string_view::npos && dot > 0 && name.front() != '*';
  const std::string_view parent = has_label ? name.substr(dot) : std::string_view();
  return std::any_of(dns_names.begin(), dns_names.end(), [&](std::string_view pattern) {
    if (EqualIgnoringCase(pattern, name)) return !name.empty();
    if (!has_label || !pattern.starts_with("*.")) return false;
    pattern.remove_prefix(1);
    // "*.com" would cover a whole registry; no TLS client accepts it.
    return pattern.find('.', 1) != std::string_view::npos && EqualIgnoringCase(pattern, parent);
  });
}

Result<void> CheckDnsName(std::string_view name) {
  const std::string_view fault = NameFault(name);
  if (fault.empty()) return {};
  return MakeError(ErrorCode::kInvalid, "NameInvalid",
                   "the DNS name \"" + Sanitize(name, 80) + "\" " + std::string(fault));
}

}  // namespace certflow::pki

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace certflow::workflow {

// "st-" and ten hex digits of SHA-256 over the workflow's uid and the run's number: whoever makes
// this run, however often, makes the same object.
std::string RunName(std::string_view workflow_uid, std::int64_t number);
// "ST-0b6c4befb1", as people see it; the inverse for what people type.
std::string DisplayRunName(std::string_view name);
std::string CanonicalRunName(std::string_view typed);

}  // namespace certflow::workflow

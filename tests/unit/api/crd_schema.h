#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace certflow::api {

// Holds documents to a schema in crds/, as the API server would: unknown members (which it would
// drop), types, required members, enumerations, bounds, patterns and times.
class CrdSchema {
 public:
  explicit CrdSchema(std::string_view file);  // "workflowruns.yaml"

  // What is wrong with the member `part` ("spec", "status") of the document; empty: nothing.
  std::vector<std::string> Check(std::string_view document, const std::string& part) const;
  // Members of that part of the schema that no document had that was given to Check.
  std::set<std::string> Unwritten(const std::string& part) const;
  // Names of the columns that `kubectl get` prints, those of -o wide left out.
  std::vector<std::string> Columns() const;
  // maxItems of a list, by its path ("status.ledger").
  std::size_t MaxItems(const std::string& path) const;

 private:
  std::string text_;
  mutable std::set<std::string> seen_;
};

}  // namespace certflow::api

#pragma once

#include "controller/base/result.h"
#include "controller/kube/types.h"
#include "controller/seams/secret_store.h"

namespace certflow::providers::store {

// The Secret in an answer of the API server; its data in `document` is wiped. kInvalid.
Result<seams::SecretObject> DecodeSecret(kube::Document& document, bool with_data);

// The body of a POST or PUT. The data never enters a JSON tree, which could not be wiped.
SecretBytes EncodeSecret(const seams::SecretObject& secret);

}  // namespace certflow::providers::store

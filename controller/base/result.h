#pragma once

#include <optional>
#include <utility>
#include <variant>

#include "controller/base/error.h"

namespace certflow {

// A value or an Error. Discarding one is a compile error; asking for the one that is not there
// throws (our own mistake, stopped by the worker loop).
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const& { return error_.value(); }
  Error&& error() && { return std::move(error_).value(); }

 private:
  std::optional<Error> error_;
};

// Returns early from a function whose result can hold an Error.
#define CF_CONCAT_INNER(a, b) a##b
#define CF_CONCAT(a, b) CF_CONCAT_INNER(a, b)
#define CF_RETURN_IF_ERROR(expr)                                 \
  do {                                                           \
    if (auto cf_result = (expr); !cf_result.ok()) [[unlikely]] { \
      return std::move(cf_result).error();                       \
    }                                                            \
  } while (false)
#define CF_ASSIGN_OR_RETURN(declaration, expr) \
  CF_ASSIGN_OR_RETURN_INNER(CF_CONCAT(cf_result_, __LINE__), declaration, expr)
#define CF_ASSIGN_OR_RETURN_INNER(name, declaration, expr) \
  auto name = (expr);                                      \
  if (!name.ok()) [[unlikely]]                             \
    return std::move(name).error();                        \
  declaration = std::move(name).value()

}  // namespace certflow

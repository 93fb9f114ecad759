#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/result.h"

// What a device answered, and how a value in it is named. Pure: no input or output.
namespace certflow::providers::http {

inline constexpr std::size_t kMaxAnswerBytes = 256u << 10;
inline constexpr std::size_t kMaxPointerTokens = 16;

// A JSON pointer (RFC 6901), with one addition that no RFC 6901 pointer can mean: where an array
// stands, a token "Key=certflow" names its first element whose member Key is the text "certflow".
//
// In XML the same pointer goes from the root element on: a token is the first child of that name, a
// number after it takes another one of them, "@name" is an attribute.
class Pointer {
 public:
  // kInvalid, "PointerInvalid", saying why.
  static Result<Pointer> Parse(std::string_view text);
  const std::vector<std::string>& tokens() const { return tokens_; }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::vector<std::string> tokens_;
};

// A parsed body, or a part of one. Cheap to copy.
class Answer {
 public:
  struct Node;
  // JSON, or XML where it begins with "<"; nothing at all is an empty answer, in which every
  // pointer points nowhere. kInvalid, "AnswerUnreadable", for the rest, and what is too large or
  // too deep. Nothing outside the text is ever fetched: XML entities stay what they are.
  static Result<Answer> Parse(std::string_view body);

  // A string, number or boolean as text, an element's text, an object or array as compact JSON;
  // empty optional where the pointer points nowhere or to null.
  std::optional<std::string> Text(const Pointer& pointer) const;
  // The elements of the array, or all elements of that name; none where it points nowhere.
  std::vector<Answer> List(const Pointer& pointer) const;

 private:
  explicit Answer(std::shared_ptr<const Node> root, const void* at)
      : root_(std::move(root)), at_(at) {}
  std::shared_ptr<const Node> root_;
  const void* at_;  // the JSON value inside root_
};

}  // namespace certflow::providers::http

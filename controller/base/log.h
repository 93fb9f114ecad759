#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace certflow {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// One field of a log line. Values are escaped by the sink; secrets have no constructor here.
struct LogField {
  std::string key;
  std::string value;
  bool number = false;

  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(v) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(v) {}
  template <typename N>
    requires std::is_integral_v<N>
  LogField(std::string_view k, N v) : key(k), value(std::to_string(v)), number(true) {}
};

// Where lines go. Thread-safe.
class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual bool Enabled(LogLevel level) const = 0;
  virtual void Write(LogLevel level, std::string_view message, const std::vector<LogField>& context,
                     std::initializer_list<LogField> fields) = 0;
};

// A constant message and fields. Cheap to copy; carries the fields of its context.
class Logger {
 public:
  Logger() = default;  // writes nothing
  explicit Logger(std::shared_ptr<LogSink> sink) : sink_(std::move(sink)) {}

  Logger With(std::initializer_list<LogField> fields) const;

  void Debug(std::string_view message, std::initializer_list<LogField> fields = {}) const {
    Write(LogLevel::kDebug, message, fields);
  }
  void Info(std::string_view message, std::initializer_list<LogField> fields = {}) const {
    Write(LogLevel::kInfo, message, fields);
  }
  void Warning(std::string_view message, std::initializer_list<LogField> fields = {}) const {
    Write(LogLevel::kWarning, message, fields);
  }
  void Error(std::string_view message, std::initializer_list<LogField> fields = {}) const {
    Write(LogLevel::kError, message, fields);
  }

 private:
  void Write(LogLevel level, std::string_view message,
             std::initializer_list<LogField> fields) const;
  std::shared_ptr<LogSink> sink_;
  std::shared_ptr<const std::vector<LogField>> context_;
};

// One JSON object a line on the file descriptor, fields "time", "level", "msg" first.
std::shared_ptr<LogSink> MakeJsonLogSink(int fd, LogLevel lowest);

}  // namespace certflow

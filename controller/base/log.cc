#include "controller/base/log.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "controller/base/clock.h"
#include "controller/base/mutex.h"
#include "controller/base/utf8.h"

namespace certflow {
namespace {

std::string_view LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

void AppendEscaped(std::string& line, unsigned char c) {
  constexpr std::string_view kHex = "0123456789abcdef";
  line += "\\u00";
  line += kHex[c >> 4];
  line += kHex[c & 15];
}

// A JSON string (RFC 8259), whatever the bytes: what is not UTF-8 becomes U+FFFD.
void AppendJsonString(std::string& line, std::string_view text) {
  line += '"';
  while (!text.empty()) {
    const Utf8Char next = DecodeUtf8(text);
    if (next.bytes == 0) {
      line += "\xEF\xBF\xBD";
      text.remove_prefix(1);
      continue;
    }
    if (next.code == '"' || next.code == '\\') {
      line += '\\';
      line += text[0];
    } else if (next.code < 0x20 || next.code == 0x7F) {
      AppendEscaped(line, static_cast<unsigned char>(next.code));
    } else {
      line += text.substr(0, next.bytes);
    }
    text.remove_prefix(next.bytes);
  }
  line += '"';
}

bool IsReserved(std::string_view key) { return key == "time" || key == "level" || key == "msg"; }

void AppendField(std::string& line, const LogField& field) {
  line += ',';
  // A second "msg" would hide the first one from some readers.
  AppendJsonString(line, IsReserved(field.key) ? "field_" + field.key : field.key);
  line += ':';
  if (field.number) {
    line += field.value;
  } else {
    AppendJsonString(line, field.value);
  }
}

template <typename Fields>
bool Names(const Fields& fields, std::string_view key) {
  return std::any_of(fields.begin(), fields.end(),
                     [key](const LogField& field) { return field.key == key; });
}

class JsonLogSink final : public LogSink {
 public:
  JsonLogSink(int fd, LogLevel lowest) : fd_(fd), lowest_(lowest), clock_(MakeSystemClock()) {}

  bool Enabled(LogLevel level) const override { return level >= lowest_; }

  void Write(LogLevel level, std::string_view message, const std::vector<LogField>& context,
             std::initializer_list<LogField> fields) override {
    std::string line = "{\"time\":\"" + FormatMicroTime(clock_->Now()) + "\",\"level\":\"";
    line += LevelName(level);
    line += "\",\"msg\":";
    AppendJsonString(line, message);
    for (const LogField& field : context) {
      if (!Names(fields, field.key)) AppendField(line, field);
    }
    for (const LogField& field : fields) AppendField(line, field);
    line += "}\n";
    WriteLine(line);
  }

 private:
  // Whole lines only. A log that cannot be written must not stop the work, so errors end the line.
  void WriteLine(std::string_view line) CF_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    while (!line.empty()) {
      const ssize_t written = ::write(fd_, line.data(), line.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return;
      line.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  const int fd_;
  const LogLevel lowest_;
  const std::unique_ptr<Clock> clock_;
  Mutex mutex_;
};

}  // namespace

Logger Logger::With(std::initializer_list<LogField> fields) const {
  Logger child = *this;
  if (!sink_) return child;
  auto merged = std::make_shared<std::vector<LogField>>();
  if (context_) {
    for (const LogField& field : *context_) {
      if (!Names(fields, field.key)) merged->push_back(field);
    }
  }
  merged->insert(merged->end(), fields.begin(), fields.end());
  child.context_ = std::move(merged);
  return child;
}

void Logger::Write(LogLevel level, std::string_view message,
                   std::initializer_list<LogField> fields) const {
  if (!sink_ || !sink_->Enabled(level)) return;
  static const std::vector<LogField> kNoContext;
  sink_->Write(level, message, context_ ? *context_ : kNoContext, fields);
}

std::shared_ptr<LogSink> MakeJsonLogSink(int fd, LogLevel lowest) {
  return std::make_shared<JsonLogSink>(fd, lowest);
}

}  // namespace certflow

#include "controller/base/log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "controller/base/metrics.h"

namespace certflow {
namespace {

class LogTest : public testing::Test {
 protected:
  ~LogTest() override { std::fclose(file_); }

  Logger MakeLogger(LogLevel lowest = LogLevel::kDebug) {
    return Logger(MakeJsonLogSink(fileno(file_), lowest));
  }
  std::vector<nlohmann::json> Lines() {
    std::vector<nlohmann::json> lines;
    std::rewind(file_);
    char* line = nullptr;
    std::size_t size = 0;
    while (::getline(&line, &size, file_) > 0) lines.push_back(nlohmann::json::parse(line));
    std::free(line);
    return lines;
  }

  std::FILE* file_ = std::tmpfile();
};

TEST_F(LogTest, LineIsJsonWithContextAndFields) {
  MakeLogger()
      .With({{"run", "st-1"}})
      .With({{"step", "Renewal"}})
      .Info("step finished", {{"attempt", 2}});
  const auto lines = Lines();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["level"], "info");
  EXPECT_EQ(lines[0]["msg"], "step finished");
  EXPECT_EQ(lines[0]["run"], "st-1");
  EXPECT_EQ(lines[0]["step"], "Renewal");
  EXPECT_EQ(lines[0]["attempt"], 2);
  EXPECT_TRUE(lines[0]["time"].is_string());
}

TEST_F(LogTest, AnyBytesStayOneValidLine) {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  MakeLogger().Error(all, {{all, all}, {"quote", "\"},{\"msg\":\"forged"}});
  const auto lines = Lines();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["quote"], "\"},{\"msg\":\"forged");
}

TEST_F(LogTest, NearerFieldsWinAndReservedNamesStayOurs) {
  MakeLogger().With({{"step", "outer"}, {"msg", "x"}}).With({{"step", "inner"}}).Info("real");
  MakeLogger().With({{"step", "outer"}}).Info("real", {{"step", "own"}});
  const auto lines = Lines();
  EXPECT_EQ(lines[0]["step"], "inner");
  EXPECT_EQ(lines[0]["msg"], "real");
  EXPECT_EQ(lines[0]["field_msg"], "x");
  EXPECT_EQ(lines[1]["step"], "own");
}

TEST_F(LogTest, LowerLevelsAreLeftOut) {
  MakeLogger(LogLevel::kWarning).Info("no");
  MakeLogger(LogLevel::kWarning).Warning("yes");
  EXPECT_EQ(Lines().size(), 1u);
}

TEST_F(LogTest, ThreadsDoNotMixLines) {
  const Logger log = MakeLogger();
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&log, t] {
        for (int i = 0; i < 50; ++i) log.Info("line", {{"thread", t}});
      });
    }
  }
  EXPECT_EQ(Lines().size(), 200u);
}

TEST(LoggerTest, WithoutASinkNothingHappens) { Logger().With({{"a", "b"}}).Info("unheard"); }

TEST(MetricsTest, NoMetricsTakesEverything) {
  NoMetrics().Add("certflow_x_total", "help", {{"a", "b"}});
  NoMetrics().Set("certflow_x", "help", {}, 1);
  NoMetrics().Observe("certflow_x_seconds", "help", {}, 0.5);
}

}  // namespace
}  // namespace certflow

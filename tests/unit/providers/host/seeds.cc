#include "tests/unit/providers/host/seeds.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

std::string Seed(const std::string& name) {
  std::ifstream file(CERTFLOW_SOURCE_DIR "/tests/testdata/fuzz/" + name, std::ios::binary);
  EXPECT_TRUE(file.good()) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

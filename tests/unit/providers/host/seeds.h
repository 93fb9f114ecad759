#pragma once

#include <string>

// A file of tests/testdata/fuzz: what real servers printed, with plain folders and ports.
std::string Seed(const std::string& name);

// The problems whose emitted source is checked in and compiled in CI.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "streamattn/compiler.h"

namespace streamattn {

struct GoldenCase {
  std::string name;  ///< of the file in tests/golden, without ".cu"
  Problem problem;
  Schedule schedule;

  Program program() const;
  Source source() const;  ///< of the first kernel
  std::filesystem::path path() const;
};

/// flash_wgmma by head dims, mask and types, each with the schedule that a user gets, and one of
/// every other kind of schedule.
std::vector<GoldenCase> golden_cases();

}  // namespace streamattn

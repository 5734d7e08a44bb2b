// The problems whose emitted source is checked in and compiled in CI.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "streamattn/compiler.h"

namespace streamattn {

struct GoldenCase {
  std::string name;  ///< of the file of its first kernel in tests/golden, without ".cu"
  Problem problem;
  Schedule schedule;

  Program program() const;
};

/// flash_wgmma by head dims, mask and types, each with the schedule that a user gets, and one of
/// every other kind of schedule.
std::vector<GoldenCase> golden_cases();

/// Those of them that split the keys, whose results a second kernel merges.
std::vector<GoldenCase> split_golden_cases();

/// A file of tests/golden.
struct GoldenFile {
  std::string name;  ///< without ".cu"
  Source source;

  std::filesystem::path path() const;
};

/// All of them: the first kernel of every case, and each of the others once.
std::vector<GoldenFile> golden_files();

}  // namespace streamattn

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

  Source source() const;
};

/// flash_wgmma by head dims, mask and types, each with the schedule that a user gets, and one of
/// every other kind of schedule.
std::vector<GoldenCase> golden_cases();

/// Schedules that split the keys, whose results a second kernel merges.
std::vector<GoldenCase> split_golden_cases();

/// The kernel that merges, for the output type of `problem`.
Source combine_source(const Problem& problem);

/// A file of tests/golden.
struct GoldenFile {
  std::string name;  ///< without ".cu"
  Source source;
  int threads;  ///< of a block

  std::filesystem::path path() const;
};

/// All of them: every case's, and the merging kernels'.
std::vector<GoldenFile> golden_files();

}  // namespace streamattn

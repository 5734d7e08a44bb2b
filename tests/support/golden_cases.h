// The problems whose emitted source is checked in and compiled in CI.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "measure/named_inputs.h"
#include "streamattn/compiler.h"
#include "streamattn/dropout.h"

namespace streamattn {

struct GoldenCase {
  std::string name;  ///< of the file of its main kernel in tests/golden, without ".cu"
  Problem problem;
  Schedule schedule;
  std::vector<NamedNumber> scalars = {};  ///< that the problem names
  std::vector<NamedInput> tensors = {};   ///< what named tensors hold, where not as by default
  Operation operation = Operation::forward;

  Program program() const;

  /// What launches of it leave out.
  Dropout dropout() const { return {problem.dropout ? 0.3F : 0, 9, 1}; }
};

/// A problem with the schedule that a user gets for long sequences, named by head dims, types and
/// a causal mask.
GoldenCase chosen_case(const Problem& problem, Operation operation = Operation::forward);

/// flash_wgmma by head dims, mask and types, each with the schedule that a user gets, then with
/// scores, sinks and masks that data decide, and one of every other kind of schedule.
std::vector<GoldenCase> golden_cases();

/// Those of them that split the keys, whose results a second kernel merges.
std::vector<GoldenCase> split_golden_cases();

/// Those of decode_wgmma: every layout, few and many rows, scores, sinks and masks.
std::vector<GoldenCase> decode_golden_cases();

/// backward_wgmma by head dims, mask and types.
std::vector<GoldenCase> backward_golden_cases();

/// append_rows by head dims, types and layouts.
std::vector<GoldenCase> append_golden_cases();

/// merge_shares by types.
std::vector<GoldenCase> merge_golden_cases();

/// A file of tests/golden.
struct GoldenFile {
  std::string name;  ///< without ".cu"
  Source source;

  std::filesystem::path path() const;
};

/// All of them: the main kernel of every case, those that list its key tiles, and each that cases
/// share once.
std::vector<GoldenFile> golden_files();

}  // namespace streamattn

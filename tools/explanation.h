// All that is known of a problem before it runs: its mask, its tiles, its schedule.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/expr/key_ranges.h"
#include "compiler/family_answers.h"
#include "streamattn/compiler.h"
#include "tools/flops.h"
#include "tools/problem_flags.h"
#include "tools/tile_map.h"

namespace streamattn {

/// A part of a mask that no range of keys describes, and why.
struct OpenPart {
  std::string text, reason;
};

/// Those of a mask, each once.
std::vector<OpenPart> open_parts(const Expr& mask);

/// "[max(0, q_first - 4), q_end)", "-inf" and "inf" where every key is on that side.
std::string range_text(const KeyRange& range);

/// A scalar or a tensor that a problem names.
struct NameFact {
  std::string name, type;  ///< "i32", "i32[2 indices]"
  std::string value;       ///< "512", "documents:25"; empty: by default
};

struct TargetAnswers {
  const Target* target;
  std::vector<FamilyAnswer> families;
};

struct Explanation {
  /// Throws what choosing a schedule throws, but not for a problem that nobody serves.
  Explanation(const ForwardCase& call, const ScheduleFlags& flags, HeadIndex drawn);

  ForwardCase call;
  const Target* target;
  std::vector<NameFact> names;

  KeyRanges ranges;
  bool data_decide;  ///< which tiles are seen
  std::vector<OpenPart> open;

  std::optional<Choice> choice;  ///< none: nobody serves the problem on the target
  std::vector<TargetAnswers> answers;
  bool tiles_by_data = false;  ///< the schedule asks them
  Program program;             ///< empty: the kernel is part of the library

  std::optional<TileMap> map;  ///< of the schedule's tiles, where its family says what they are
  Count pairs, flops;
  double all_pairs;
};

}  // namespace streamattn

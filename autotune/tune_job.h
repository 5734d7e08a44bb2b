// What to tune: calls in groups, each of which gets one schedule, and what may be tried.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compiler/knobs.h"
#include "measure/forward_case.h"
#include "streamattn/target.h"

namespace streamattn {

/// Lengths, both ends included.
struct Lengths {
  std::int64_t first = 0, last = 0;

  friend bool operator==(const Lengths&, const Lengths&) = default;
};

/// Calls that share a problem and get one schedule, and the lengths that they stand for.
struct TuneGroup {
  ForwardCase call;           ///< its shape is the largest
  std::vector<Shape> shapes;  ///< to measure, the largest first
  Lengths q_len, kv_len;      ///< that a row will hold for
  double weight = 1;          ///< among the groups, for means

  /// The call at one of the shapes.
  ForwardCase at(const Shape& shape) const;

  /// "bf16 -> bf16, head_dim 128, ...; q_len 513..1024, kv_len 513..1024, 8 x 16 heads".
  std::string describe() const;
};

/// Values that a knob may take.
struct KnobLimit {
  std::string knob;
  std::vector<KnobValue> values;
};

struct TuneJob {
  std::string target = {};  ///< empty: the device's
  std::vector<TuneGroup> groups = {};
  std::vector<KnobLimit> space = {};  ///< knobs that are not named may be anything
};

/// Whether `space` lets a schedule be tried. A knob that the family does not have is no obstacle.
bool allows(const std::vector<KnobLimit>& space, const Schedule& schedule);

/// The job that TOML `text` states; files that it names are looked for in `folder`. Throws Error
/// (invalid_config) with origin, line and column.
TuneJob parse_tune_job(std::string_view text, std::string_view origin,
                       const std::filesystem::path& folder);

/// The same of a file.
TuneJob load_tune_job(const std::filesystem::path& path);

/// One group for each call, for its lengths alone.
TuneJob job_of(const std::vector<ForwardCase>& calls);

}  // namespace streamattn

// Ordered rows "for problems and shapes like this, use that schedule".
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "streamattn/export.h"
#include "streamattn/operation.h"
#include "streamattn/problem.h"
#include "streamattn/schedule.h"
#include "streamattn/target.h"

namespace streamattn {

/// What a time holds for: versions, and how it was taken.
struct TimingConditions {
  std::string driver, nvrtc, commit;  ///< releases, empty on the CPU; the library's own
  std::string l2, launch;             ///< "cold" or "warm", "eager" or "graph"

  friend bool operator==(const TimingConditions&, const TimingConditions&) = default;
};

/// How a tuner came to a row: the table `from` of it. Nothing here decides whether a row fits.
struct TuningRecord {
  TimingConditions timed;
  std::vector<std::string> shapes;   ///< "batch x kv_heads x q_len x kv_len" that it was shown on
  std::vector<double> microseconds;  ///< on each of these
  double spread = 0;                 ///< between rounds, such as 0.004
  double noise = 0;                  ///< between two entries of one schedule
  double gain = 0;                   ///< time of the family's first guess over that of the row
};

/// Shipped tunings, tuner output and user pins: one type, one file format. The first row that fits
/// wins.
///
///   [[schedule]]
///   target = "sm_90a"
///   when = { op = "forward", dtype = "bf16", head_dim = 128, mask = "k <= q", q_len = "2048.." }
///   use  = { family = "flash_wgmma", tile_q = 128, tile_kv = 176, math_warpgroups = 2 }
///
/// `when` may hold op, dtype, out_dtype, head_dim, value_head_dim, group_size, mask (numbers may be
/// ranges "64..128", "2048..", "..512") and q_len, kv_len, batch, kv_heads, tiles (batch x query
/// heads x ceil(q_len / 128)). A key left out always fits. A row is only ever
/// for the operation of its family: with another `op` it never fits. `use` holds the family and its
/// knobs. A row may name the `device` that it was tuned on; what else its tuner knows is in `from`.
class STREAMATTN_API ScheduleTable {
 public:
  ScheduleTable();
  ScheduleTable(const ScheduleTable&);
  ScheduleTable(ScheduleTable&&) noexcept;
  ScheduleTable& operator=(ScheduleTable);
  ~ScheduleTable();

  /// The rows of TOML `text`; `origin` names it in messages. Throws Error (invalid_config) with
  /// origin, line and column for a syntax error, an unknown key, or a bad value.
  static ScheduleTable parse(std::string_view text, std::string_view origin);

  /// The rows of a file. Throws Error (invalid_config).
  static ScheduleTable load(const std::filesystem::path& path);

  /// The rows shipped with the library, without records. None fits what its family would not run.
  static const ScheduleTable& shipped();

  /// Appends the rows of `other`: they are tried after the rows already here.
  void append(const ScheduleTable& other);

  struct Match {
    Schedule schedule;
    std::string origin;  ///< file and line of the row
    std::string device;  ///< that the row is for; empty: all
    TuningRecord record;
  };

  /// The first row that fits. With the name of a `device`, rows for another are passed over.
  std::optional<Match> find(Operation operation, const Problem& problem, const Shape& shape,
                            const Target& target, std::string_view device = {}) const;

  /// Schedules of at most `most` rows that need not fit: for the operation, the target and the head
  /// dims of `problem`, those tuned for the most similar calls in front. What a tuner tries first.
  std::vector<Schedule> nearest(Operation operation, const Problem& problem, const Shape& shape,
                                const Target& target, std::size_t most) const;

  /// How many rows there are.
  std::size_t size() const;

 private:
  struct STREAMATTN_LOCAL Rows;
  std::unique_ptr<Rows> rows_;
};

}  // namespace streamattn

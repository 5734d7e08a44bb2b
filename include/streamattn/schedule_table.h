// Ordered rows "for problems and shapes like this, use that schedule".
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "streamattn/export.h"
#include "streamattn/operation.h"
#include "streamattn/problem.h"
#include "streamattn/schedule.h"
#include "streamattn/target.h"

namespace streamattn {

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
/// heads x ceil(q_len / 128)). A key left out always fits; a row is only ever for
/// the operation of its family. `use` holds a family and knobs of it.
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

  /// The rows shipped with the library.
  static const ScheduleTable& shipped();

  /// Appends the rows of `other`: they are tried after the rows already here.
  void append(const ScheduleTable& other);

  struct Match {
    Schedule schedule;
    std::string origin;  ///< file and line of the row
  };

  /// The first row that fits.
  std::optional<Match> find(Operation operation, const Problem& problem, const Shape& shape,
                            const Target& target) const;

  /// How many rows there are.
  std::size_t size() const;

 private:
  struct STREAMATTN_LOCAL Rows;
  std::unique_ptr<Rows> rows_;
};

}  // namespace streamattn

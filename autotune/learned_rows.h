// Rows that programs find while they run, in a file that their processes share.
#pragma once

#include <filesystem>
#include <string>

#include "autotune/tuned_rows.h"
#include "streamattn/schedule_table.h"

namespace streamattn {

/// The rows of a file and those that were added since.
class LearnedRows {
 public:
  /// Reads `file` where there is one; an empty path is no file. Throws Error (invalid_config) for
  /// one that cannot be read.
  explicit LearnedRows(std::filesystem::path file);

  const ScheduleTable& rows() const { return rows_; }

  /// Adds a row, to the file as well: behind what other processes have added meanwhile. Where the
  /// file cannot be written that is logged, once, and the row is kept here.
  void add(const TunedRow& row, const TuneSite& site, const Target& target);

 private:
  bool publish(const std::string& row, const TuneSite& site);

  std::filesystem::path file_;
  ScheduleTable rows_;
};

/// streamattn/tuned.toml in $XDG_CONFIG_HOME or $HOME/.config; empty where neither is known.
std::filesystem::path default_learned_rows();

}  // namespace streamattn

// `streamattn bench --preset streaming`: attention sinks with a sliding window beside dense causal
// attention, over the length of the sequence.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/bench_grid.h"
#include "tools/streaming_report.h"

namespace streamattn {

/// "window:sinks", such as "1024:4". Throws Error (invalid_config).
void read_value(llvm::StringRef flag, llvm::StringRef text, Reach& value);

/// What a query sees of sinks and a window, both scalars: `window` counts the query itself.
Expr streaming_mask();

/// Pairs of a query and a key that it sees, of `seq` queries and as many keys.
double streaming_pairs(std::int64_t seq, const Reach& reach);

/// --preset and the flags that only it has.
class StreamingFlags {
 public:
  /// Adds the flags; `this` must outlive parsing.
  void add_to(Flags& flags);

  /// Whether the preset is asked for. Throws Error (invalid_config) for another one, and where a
  /// flag of the preset is given without it.
  bool is_asked() const;

  /// Times the problem that `grid` states, at every length and reach, with `schedule`, whose
  /// --schedule is that of the streaming kernel. Throws Error.
  StreamingReport measure(const BenchGridFlags& grid, const ScheduleFlags& schedule,
                          const RoundOptions& method) const;

  /// Writes the plot to the file of --plot, if any. Throws Error (invalid_config).
  void write_plot(const StreamingReport& report) const;

 private:
  std::optional<std::string> preset_, plot_;
  std::vector<Reach> reaches_;
  std::optional<double> dense_milliseconds_;
};

}  // namespace streamattn

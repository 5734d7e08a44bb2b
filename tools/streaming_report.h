// What a streaming benchmark found: as a table, JSON, CSV or a plot.
#pragma once

#include <llvm/Support/JSON.h>
#include <llvm/Support/raw_ostream.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "measure/forward_case.h"
#include "measure/rounds.h"

namespace streamattn {

/// How far a query sees: the last `window` keys, its own among them, and the first `sinks`.
struct Reach {
  std::int64_t window = 1, sinks = 0;

  std::string text() const;  ///< "64:16"
};

/// One attention at one length.
struct StreamingFigure {
  Timing timing;
  double flops = 0;
  std::string schedule;
};

/// All of them at one length.
struct StreamingRow {
  std::int64_t seq = 0;
  std::optional<StreamingFigure> dense;  ///< nothing where it would take too long
  double dense_estimate = 0;             ///< milliseconds it would take, where it was left out
  std::vector<StreamingFigure> reaches;

  /// How many times as fast as the dense one; nothing where that was left out.
  std::optional<double> speedup(std::size_t reach) const;
};

/// Kernels of one problem over all lengths.
struct KernelCount {
  int kernels = 0;   ///< different ones
  int compiled = 0;  ///< of their binaries, those of kernels that the cache did not have whole
  int cached = 0;    ///< and the others; none on the CPU, whose kernels are built in
};

/// How time grows with length: time ~ seq^slope.
struct Growth {
  double slope = 0;
  std::int64_t from = 0, to = 0;  ///< the lengths it was fitted over
};

/// The fit over the longer half of the lengths, the one in the middle included, but two at least;
/// nothing where there are not two. `points` are lengths, which ascend, and milliseconds.
std::optional<Growth> fitted_growth(const std::vector<std::pair<std::int64_t, double>>& points);

struct StreamingReport {
  std::string device;
  RoundOptions method;
  ForwardCase call;  ///< of the streaming problem; the length and the reach are those of the rows
  double dense_milliseconds = 0;  ///< dense attention that takes longer is left out
  std::vector<Reach> reaches;
  std::vector<StreamingRow> rows;  ///< by length
  KernelCount dense, streaming;

  /// The table, then slopes, what was left out and the number of kernels.
  void print(llvm::raw_ostream& out) const;

  /// A line for each length and attention.
  void print_csv(llvm::raw_ostream& out) const;

  llvm::json::Object to_json() const;

  /// An SVG of two log-log plots: time over length with slopes, and the speed-up.
  std::string plot() const;

 private:
  using Points = std::vector<std::pair<std::int64_t, double>>;
  Points dense_points() const;
  Points points(std::size_t reach) const;
  std::string title() const;
};

}  // namespace streamattn

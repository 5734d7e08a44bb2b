// What a benchmark found: as a table, JSON or CSV.
#pragma once

#include <llvm/Support/JSON.h>
#include <llvm/Support/raw_ostream.h>

#include <optional>
#include <string>
#include <vector>

#include "measure/rounds.h"
#include "measure/timing_policy.h"
#include "tools/baseline.h"
#include "tools/flops.h"

namespace streamattn {

/// One schedule on one call.
struct BenchCandidate {
  std::string fields;    ///< of --schedule; empty: as chosen
  std::string schedule;  ///< in full
  std::optional<Timing> timing;
  std::string refusal;  ///< why there is no timing
};

/// All schedules on one call.
struct BenchRow {
  ForwardCase call;
  Count flops = {};
  double bytes = 0;  ///< of operations that move rows, whose figure is GB/s
  std::vector<BenchCandidate> candidates;
  std::vector<PeerFigure> peers;

  /// TFLOP/s of a candidate that was timed.
  double tflops(const BenchCandidate& candidate) const;

  /// The same over that of the baseline's "best"; nothing where there is none.
  std::optional<double> ratio(const BenchCandidate& candidate) const;
};

struct BenchReport {
  std::string device;
  TimingPolicy policy;
  RoundOptions method;
  std::vector<BenchRow> rows;

  /// A table, then for each schedule the geometric mean and the lowest of its ratios.
  void print(llvm::raw_ostream& out) const;

  void print_csv(llvm::raw_ostream& out) const;

  llvm::json::Object to_json() const;
};

}  // namespace streamattn

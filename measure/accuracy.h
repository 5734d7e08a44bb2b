// How right a result is: against float64, beside plain attention in the same precision. The one
// yardstick of tools and tests.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "measure/forward_case.h"
#include "measure/reference.h"

namespace streamattn {

/// Errors of a result against float64, those of plain attention, and the largest ones allowed.
struct Errors {
  double o = 0, lse = 0;              ///< relative L2; largest absolute, natural log
  double plain_o = 0, plain_lse = 0;  ///< of textbook attention in the problem's precision
  double o_allowed = 0, lse_allowed = 0;

  bool ok() const { return o <= o_allowed && lse <= lse_allowed; }
};

/// Who computed: decides what rounding may cost beside twice the error of plain attention.
enum class Arithmetic {
  float32,  ///< the host, the emulator: IEEE operations
  gpu,  ///< sums of matrix units that drop bits, approximate exp2 and log2; terms of scores apart
        ///< for rows and columns of a tile, which the emulator has too
};

/// Compares `rows` of the host tensors o and lse with float64. Allowed is twice the error of plain
/// attention, and what rounding alone can cost where that happens to be smaller. Rows see keys by
/// `visible`, or the problem's mask where that is empty.
Errors errors_of(const Problem& problem, const ForwardArgs& args, std::span<const OutputRow> rows,
                 const Visible& visible = {}, Arithmetic arithmetic = Arithmetic::float32);

/// A whole result.
struct Accuracy {
  std::int64_t rows = 0;          ///< output rows computed
  std::int64_t checked_rows = 0;  ///< of these, compared with float64
  std::int64_t nan_rows = 0;      ///< of these, with a NaN: wrong, or never written
  bool untouched = false;         ///< nothing but these rows was written
  Errors errors;                  ///< over the checked rows

  bool ok() const { return nan_rows == 0 && untouched && errors.ok(); }
};

/// Multiplications that check_accuracy() spends where it is not told: a few seconds of one core.
inline constexpr double reference_budget = 4e9;

/// What a call should give, worked out once for many results of it.
class Expected {
 public:
  /// Compares what costs at most `budget` whole; of more, rows drawn by the seed. Reads the inputs
  /// in `tensors`.
  Expected(const ForwardCase& given, const ForwardTensors& tensors,
           double budget = reference_budget);

  /// Judges the outputs in `tensors`, with the same inputs, after a launch by `arithmetic`.
  Accuracy accuracy_of(const ForwardTensors& tensors, Arithmetic arithmetic) const;

 private:
  Problem problem_;
  bool with_lse_;
  std::vector<OutputRow> rows_;
  RowValues exact_, plain_;
};

/// Checks the outputs in `tensors`, those of `given` after a launch by `arithmetic`. Problems that
/// cost at most `budget` are compared whole; of larger ones, rows drawn by the seed.
Accuracy check_accuracy(const ForwardCase& given, const ForwardTensors& tensors,
                        Arithmetic arithmetic, double budget = reference_budget);

}  // namespace streamattn

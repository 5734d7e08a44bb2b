// Slow and obvious attention on the host, which every kernel is checked against.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "compiler/operations/forward/sequences.h"
#include "streamattn/forward.h"

namespace streamattn {

/// One row of the output. `row` counts rows of the whole of q, or of a sequence where they differ.
struct OutputRow {
  std::int64_t batch, head, row;
};

/// The rows of o and lse that a launch writes, entry by entry of the batch. Reads lengths.
std::vector<SequenceRows> written_rows(const ForwardArgs& args);

/// Every row that a launch computes: those of `q_rows` and of sequences, in the order batch, head,
/// row.
std::vector<OutputRow> all_rows(const ForwardArgs& args);

/// `count` different rows of all_rows(), at least 2, drawn by `seed`, the first and the last of the
/// first head among them; all rows where there are no more. In the order of all_rows().
std::vector<OutputRow> sample_rows(const ForwardArgs& args, std::int64_t count, std::uint64_t seed);

/// Contents of some output rows, dense, in the order in which the rows were asked for.
struct RowValues {
  std::vector<double> o;    ///< [rows, v_head_dim]
  std::vector<double> lse;  ///< [rows]
};

/// Whether a query at global position `q` sees a key at `k`.
using Visible = std::function<bool(std::int64_t q, std::int64_t k)>;

/// The exact result for `rows`, in float64. Reads q, k and v of `args`, host tensors, and of these
/// only what a row sees: by `visible`, or the problem's mask where that is empty. Works on all
/// cores.
RowValues reference_forward(const Problem& problem, const ForwardArgs& args,
                            std::span<const OutputRow> rows, const Visible& visible = {});

/// What a textbook implementation in the precision of the problem gives: scores, softmax and sums
/// in float32, probabilities rounded to the element type before they meet V, the result rounded to
/// the output type. Its error is the yardstick for kernels.
RowValues plain_forward(const Problem& problem, const ForwardArgs& args,
                        std::span<const OutputRow> rows, const Visible& visible = {});

/// Reads `rows` from o and lse of `args`, host tensors. `lse` stays empty where args has none.
RowValues read_rows(const ForwardArgs& args, std::span<const OutputRow> rows);

/// |found - expected|_2 / |expected|_2; the numerator alone where everything expected is zero.
/// Infinite when one side has a NaN or an infinity that the other does not have there.
double relative_error(std::span<const double> found, std::span<const double> expected);

/// max |found - expected|, equal infinities counting as no error; infinite for a NaN.
double max_error(std::span<const double> found, std::span<const double> expected);

}  // namespace streamattn

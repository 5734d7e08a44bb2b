// Tolerances computed from a plain implementation, and the check against them.
#include "tests/support/forward_case.h"

#include <algorithm>
#include <cmath>

#include "tests/support/catch.h"

namespace streamattn {
namespace {

Sizes query_sizes(const ForwardCase& given, std::int64_t dim) {
  const Shape& shape = given.shape;
  return {shape.batch, shape.q_len, shape.kv_heads * given.problem.group_size, dim};
}

Sizes key_sizes(const ForwardCase& given, std::int64_t dim) {
  const Shape& shape = given.shape;
  return {shape.batch, shape.kv_len, shape.kv_heads, dim};
}

/// The largest relative error of rounding to `type`.
double unit_roundoff(DType type) {
  switch (type) {
    case DType::bf16:
      return 0x1p-8;
    case DType::f16:
      return 0x1p-11;
    case DType::f32:
      break;
  }
  return 0x1p-24;
}

// In float32 a result is a few roundings away from the exact one (scale, exponential, sum,
// division) where the plain one may be lucky, as for a row of one key.
constexpr double float_noise = 4 * 0x1p-24;

}  // namespace

std::string ForwardCase::describe() const {
  constexpr const char* layouts[] = {"bshd", "bhsd", "padded", "sparse"};
  return problem.describe() + "; batch " + std::to_string(shape.batch) + ", kv_heads " +
         std::to_string(shape.kv_heads) + ", q_len " + std::to_string(shape.q_len) + ", kv_len " +
         std::to_string(shape.kv_len) + ", " + layouts[static_cast<int>(layout)] + ", " +
         (distribution == Distribution::normal ? "normal" : "outliers") + ", seed " +
         std::to_string(seed);
}

ForwardTensors::ForwardTensors(const ForwardCase& given)
    : q(given.problem.dtype, query_sizes(given, given.problem.head_dim), given.layout),
      k(given.problem.dtype, key_sizes(given, given.problem.head_dim), given.layout),
      v(given.problem.dtype, key_sizes(given, given.problem.v_head_dim()), given.layout),
      o(given.problem.output_dtype(), query_sizes(given, given.problem.v_head_dim()), given.layout),
      lse(DType::f32, query_sizes(given, 1), given.layout) {
  q.fill(3 * given.seed, given.distribution);
  k.fill(3 * given.seed + 1, given.distribution);
  v.fill(3 * given.seed + 2, given.distribution);
}

ForwardArgs ForwardTensors::args() const {
  return {.q = q.view(), .k = k.view(), .v = v.view(), .o = o.view(), .lse = lse.view()};
}

Errors errors_of(const Problem& problem, const ForwardArgs& args, std::span<const OutputRow> rows,
                 const Visible& visible) {
  const RowValues exact = reference_forward(problem, args, rows, visible);
  const RowValues plain = plain_forward(problem, args, rows, visible);
  const RowValues found = read_rows(args, rows);
  double largest_lse = 1;
  for (const double lse : exact.lse) {
    if (std::isfinite(lse)) largest_lse = std::max(largest_lse, std::abs(lse));
  }
  return {.o = relative_error(found.o, exact.o),
          .lse = args.lse.data == nullptr ? 0 : max_error(found.lse, exact.lse),
          .o_allowed = std::max({2 * relative_error(plain.o, exact.o), float_noise,
                                 unit_roundoff(problem.output_dtype())}),
          .lse_allowed = std::max(2 * max_error(plain.lse, exact.lse), float_noise * largest_lse)};
}

void check_result(const Problem& problem, const ForwardArgs& args, const ForwardTensors& tensors,
                  const Visible& visible) {
  const Errors errors = errors_of(problem, args, all_rows(args), visible);
  CHECK(errors.o <= errors.o_allowed);
  CHECK(errors.lse <= errors.lse_allowed);
  const Rows written = args.q_rows.value_or(Rows{0, args.q.seq});
  CHECK(tensors.o.is_poison_outside(written));
  CHECK(tensors.lse.is_poison_outside(args.lse.data == nullptr ? Rows{} : written));
}

}  // namespace streamattn

// Describes a case and makes its tensors.
#include "measure/append_case.h"

#include <cmath>
#include <utility>

#include "support/half.h"

namespace streamattn {
namespace {

/// Positions of the whole cache, one at least.
Sizes table_sizes(const AppendCase& given) {
  if (!given.with_tables) return {0, 0, 0, 0};
  const std::int64_t end = given.forward.k_offset + given.forward.shape.kv_len;
  const int dim = given.rope.dim == 0 ? given.forward.problem.head_dim : given.rope.dim;
  return {1, std::max<std::int64_t>(end, 1), 1, dim / 2};
}

template <class Function>
void fill_table(HostTensor& table, const Rope& rope, const Function& function) {
  const Tensor view = table.view();
  for (std::int64_t p = 0; p < view.seq; p++)
    for (std::int64_t i = 0; i < view.dim; i++) {
      const double speed =
          std::pow(rope.theta, -static_cast<double>(i) / static_cast<double>(view.dim));
      store_element(view.data, DType::f32, p * view.seq_stride + i,
                    static_cast<float>(function(static_cast<double>(p) / rope.factor * speed)));
    }
}

}  // namespace

std::string AppendCase::describe() const {
  std::string text = "append, " + forward.describe();
  if (rope.style != RopeStyle::none) {
    text += ", rope " + std::string(name(rope.style)) + " of " + std::to_string(rope.dim) +
            " columns, theta " + std::to_string(rope.theta) + ", factor " +
            std::to_string(rope.factor);
  }
  return text + (with_tables ? ", tables" : "") + (with_queries ? "" : ", no queries");
}

AppendTensors::AppendTensors(const AppendCase& given)
    : sequences(given.forward.problem, given.forward.shape, given.forward.lengths,
                given.forward.seed),
      new_k(given.forward.problem.dtype,
            sequences.q_sizes(given.forward.shape.kv_heads, given.forward.problem.head_dim),
            given.forward.layout, given.forward.gap),
      new_v(given.forward.problem.dtype,
            sequences.q_sizes(given.forward.shape.kv_heads, given.forward.problem.v_head_dim()),
            given.forward.layout, given.forward.gap),
      q(given.forward.problem.dtype,
        given.with_queries
            ? sequences.q_sizes(given.forward.heads(), given.forward.problem.head_dim)
            : Sizes{0, 0, 0, 0},
        given.forward.layout, given.forward.gap),
      k(given.forward.problem.dtype,
        sequences.kv_sizes(given.forward.shape.kv_heads, given.forward.problem.head_dim),
        given.forward.layout, given.forward.gap),
      v(given.forward.problem.dtype,
        sequences.kv_sizes(given.forward.shape.kv_heads, given.forward.problem.v_head_dim()),
        given.forward.layout, given.forward.gap),
      rotated_q(q.type(), {q.view().batch, q.view().seq, q.view().heads, q.view().dim},
                given.forward.layout, given.forward.gap),
      cos(DType::f32, table_sizes(given), Layout::bshd),
      sin(DType::f32, table_sizes(given), Layout::bshd),
      launch_{.rope = given.rope,
              .k_offset = given.forward.k_offset,
              .sequences = sequences.view(),
              .max_sms = given.forward.max_sms} {
  const std::uint64_t seed = 3 * given.forward.seed;
  if (given.with_queries) sequences.fill_queries(q, seed, given.forward.distribution);
  sequences.fill_queries(new_k, seed + 1, given.forward.distribution);
  sequences.fill_queries(new_v, seed + 2, given.forward.distribution);
  if (!given.with_tables) return;
  fill_table(cos, given.rope, [](double angle) { return std::cos(angle); });
  fill_table(sin, given.rope, [](double angle) { return std::sin(angle); });
}

AppendArgs AppendTensors::args() const {
  AppendArgs args = launch_;
  args.new_k = new_k.view(), args.new_v = new_v.view();
  args.k = k.view(), args.v = v.view();
  if (q.view().heads > 0) args.q = q.view(), args.rotated_q = rotated_q.view();
  if (cos.view().seq > 0) args.rope.cos = cos.view(), args.rope.sin = sin.view();
  return args;
}

}  // namespace streamattn

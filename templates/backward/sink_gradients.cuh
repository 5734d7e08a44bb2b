// Gradients of the elements that a sink takes of a named tensor: of rows, once a row.
#pragma once

#include "backward/element_sums.cuh"
#include "parts/row_statistics.cuh"

namespace streamattn {

/// What sink_gradients asks of its Spec: Sink, group_size, ElementOwners owners. Sink has sink(q),
/// the logit in base 2; element_count; element_slope(n, q), the derivative of the sink with respect
/// to element n, and element_place(n, tensor, q), where that is. Blocks are warps.
template <class Spec>
struct SinkGradients {
  static constexpr int tile = BackwardTiling::sum_rows;

  const SinkParams& params;

  SA_DEVICE void run() const {
    ElementOrder<Spec> order(params.sums);
#pragma unroll 1
    for (long long i = order.begin; i < order.end; i++) add(order, order.item(i));
  }

 private:
  SA_DEVICE void add(const ElementOrder<Spec>& order, WorkItem item) const {
    ItemRows rows = rows_of_item<Spec>(params.sequence, params.batch, params.statistics,
                                       params.sums.counts.heads, item);
    const Sequence& sequence = rows.sequence;
    if (is_packed<Spec> && item.q_tile * tile >= sequence.q_len) return;
    auto sink = policy_of<Spec, typename Spec::Sink>(params.score, item, sequence);
    long long first = rows.statistics + item.q_tile * tile;
#pragma unroll 1
    for (int row = threadIdx.x; row < tile; row += 32) {
      int q = sequence.q_position + item.q_tile * tile + row;
      long long at = first + statistic_place(row);
      const StatisticsParams& statistics = params.statistics;
      float weight = exp2_approx(
          fmaf(load_global(statistics.minus_lse + at), statistics.lse_unit, sink.sink(q)));
      float d = weight == 0 ? 0 : weight * load_global(statistics.minus_delta + at);
#pragma unroll
      for (int n = 0; n < Spec::Sink::element_count; n++)
        add_to_elements<false>(order.sums, sink.element_place(n, params.sums.copy, q),
                               d == 0 ? 0 : d * sink.element_slope(n, q));
    }
  }
};

/// The kernel.
template <class Spec>
SA_DEVICE void sink_gradients(const SinkParams& params) {
  static_assert(
      requires {
        Spec::Sink::element_count + Spec::group_size;
        ElementOwners(Spec::owners);
      }, "Spec needs a type Sink, an int group_size and ElementOwners owners");
  SinkGradients<Spec>{params}.run();
}

}  // namespace streamattn

// streamattn  backward  backward_wgmma  sm_90a
// problem:  bf16 -> bf16, head_dim 128, group 1; mask: k <= q; score: score + slope[head] * (k - q); sink: sink[batch, head]; q packed; kv packed
// gradient of "sink" in the sink
#include "backward/sink_gradients.cuh"

namespace streamattn {
struct ProblemSink {
  float hoisted0;
  int batch;
  int head;
  SA_DEVICE ProblemSink(const ScoreParams& params, WorkItem item, const Sequence&)
      : hoisted0(named_element<float>(params.named.tensors[1], item.batch, item.head)),
        batch(item.batch),
        head(item.head) {}
  SA_DEVICE float sink(int q) const { return hoisted0 * 1.442695041f; }
  static constexpr int element_count = 1;
  SA_DEVICE static constexpr bool is_uniform(int n) { return false || n == 0; }
  SA_DEVICE float element_slope(int n, int q) const {
    if (n == 0) return 1.0f;
    return 0;
  }
  SA_DEVICE long long element_place(int n, const NamedTensor& to, int q) const {
    if (n == 0) return named_row(to, batch, head);
    return 0;
  }
};
}

struct Spec {
  using Sink = streamattn::ProblemSink;
  static constexpr int group_size = 1;
  static constexpr streamattn::ElementOwners owners = {
      .batch = true, .head = true, .kv_head = false, .query = false, .key = false};
  static constexpr streamattn::BatchLayout layout = {
      .q_packed = true, .kv_packed = true, .kv_paged = false,
      .q_lens = false, .kv_lens = false};
  static constexpr int tile_q = 64, tile_kv = 128;
};

extern "C" __global__ void __launch_bounds__(32)
streamattn_sink_gradients(const __grid_constant__ streamattn::SinkParams params) {
  streamattn::sink_gradients<Spec>(params);
}

// streamattn  append  append_rows  sm_90a
#include "append/append_rows.cuh"

struct Spec {
  using Element = streamattn::bf16;
  static constexpr streamattn::BatchLayout layout = {
      .q_packed = false, .kv_packed = false, .kv_paged = false,
      .q_lens = false, .kv_lens = false};
  static constexpr int head_dim = 128, value_head_dim = 128, threads = 256;
};

extern "C" __global__ void __launch_bounds__(256, 3)
streamattn_append_rows(const __grid_constant__ streamattn::AppendParams params) {
  streamattn::append_rows<Spec>(params);
}

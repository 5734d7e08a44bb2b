// Some queries of one head against some keys, backwards: P and dS are computed anew wherever they
// are needed. Lanes are keys.
#include "runtime/cpu/backward_tile.h"

#include <algorithm>

#include "support/half.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/cpu/backward_tile.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h, by Highway's rules.
#include <hwy/highway.h>

#include "runtime/cpu/pair_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace streamattn {
namespace HWY_NAMESPACE {

/// Writes `value` to an element of a gradient, or adds it to what is there.
void write(const BackwardCall& call, const Tensor& to, std::int64_t at, float value) {
  if (call.accumulate) value += load_element(to.data, to.dtype, at);
  store_element(to.data, to.dtype, at, value);
}

std::int64_t offset(const Tensor& t, std::int64_t batch, std::int64_t head, std::int64_t row) {
  return batch * t.batch_stride + head * t.head_stride + row * t.seq_stride;
}

/// Calls visit(keys) for the tiles of keys that the loaded queries may see, in order.
template <class Visit>
void each_key_tile(const CpuBackward& work, const PairTile& tile, const Visit& visit) {
  const std::int64_t kv_len = work.call.forward.kv_len();
  for (std::int64_t first = 0; first < kv_len; first += work.tile_kv) {
    const Rows keys{first, std::min(first + work.tile_kv, kv_len)};
    if (tile.sees(keys)) visit(keys);
  }
}

/// Calls visit(rows) for the tiles of rows of a range, in order.
template <class Visit>
void each_query_tile(const CpuBackward& work, Rows rows, const Visit& visit) {
  for (std::int64_t first = rows.begin; first < rows.end; first += work.tile_q)
    visit(Rows{first, std::min(first + work.tile_q, rows.end)});
}

void query_gradients(const CpuBackward& work, std::int64_t batch, std::int64_t head, Rows rows) {
  const std::int64_t dim = work.problem.head_dim, lanes = block_lanes();
  const Buffer<float> d_q = allocate_zeros<float>(work.tile_q * hwy::RoundUpTo(dim, lanes));
  PairTile tile(work);
  tile.load_rows(batch, head, rows);
  each_key_tile(work, tile, [&](Rows keys) {
    tile.load_keys(batch, head / work.problem.group_size, keys);
    tile.compute(/*through_score=*/true);
    tile.add_to_d_q(d_q.get());
  });
  const BackwardCall& call = work.call;
  for (std::int64_t r = rows.begin; r < rows.end; ++r) {
    const std::int64_t at = offset(call.d_q, batch, head, r);
    for (std::int64_t d = 0; d < dim; ++d)
      write(
          call, call.d_q, at + d,
          d_q[(d / lanes * work.tile_q + r - rows.begin) * lanes + d % lanes] * call.forward.scale);
  }
}

void key_gradients(const CpuBackward& work, std::int64_t batch, std::int64_t kv_head, Rows keys) {
  const std::int64_t dim = work.problem.head_dim, v_dim = work.problem.v_head_dim();
  const std::int64_t lanes = block_lanes(), padded = hwy::RoundUpTo(work.tile_kv, lanes);
  const Buffer<float> d_k = allocate_zeros<float>(padded * dim);
  const Buffer<float> d_v = allocate_zeros<float>(padded * v_dim);
  PairTile tile(work);
  tile.load_keys(batch, kv_head, keys);
  for (std::int64_t i = 0; i < work.problem.group_size; ++i) {
    each_query_tile(work, {0, work.call.forward.q_len()}, [&](Rows rows) {
      tile.load_rows(batch, kv_head * work.problem.group_size + i, rows);
      if (!tile.sees(keys)) return;
      tile.compute(/*through_score=*/true);
      tile.add_to_d_k_d_v(d_k.get(), d_v.get());
    });
  }
  const BackwardCall& call = work.call;
  const auto store = [&](const Tensor& to, const Buffer<float>& from, std::int64_t columns,
                         float factor) {
    for (std::int64_t i = 0; i < keys.end - keys.begin; ++i) {
      const std::int64_t at = offset(to, batch, kv_head, keys.begin + i);
      for (std::int64_t d = 0; d < columns; ++d)
        write(call, to, at + d, from[(i / lanes * columns + d) * lanes + i % lanes] * factor);
    }
  };
  store(call.d_k, d_k, dim, call.forward.scale);
  store(call.d_v, d_v, v_dim, 1);
}

void element_gradients(const CpuBackward& work, int tensor, Rows batches, Rows heads, Rows rows) {
  float* const gradient = work.call.gradients[tensor].data;
  const auto add = [&](std::int64_t at, double value) {
    gradient[at] += static_cast<float>(value);
  };
  PairTile tile(work);
  for (std::int64_t batch = batches.begin; batch < batches.end; ++batch) {
    for (std::int64_t head = heads.begin; head < heads.end; ++head) {
      each_query_tile(work, rows, [&](Rows part) {
        tile.load_rows(batch, head, part);
        each_key_tile(work, tile, [&](Rows keys) {
          tile.load_keys(batch, head / work.problem.group_size, keys);
          tile.compute(/*through_score=*/false);
          tile.each_element(tensor, add);
        });
        if (work.problem.sink) tile.each_sink_element(tensor, add);
      });
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace streamattn
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace streamattn {

HWY_EXPORT(query_gradients);
HWY_EXPORT(key_gradients);
HWY_EXPORT(element_gradients);

void write_query_gradients(const CpuBackward& work, std::int64_t batch, std::int64_t head,
                           Rows rows) {
  HWY_DYNAMIC_DISPATCH(query_gradients)(work, batch, head, rows);
}

void write_key_gradients(const CpuBackward& work, std::int64_t batch, std::int64_t kv_head,
                         Rows keys) {
  HWY_DYNAMIC_DISPATCH(key_gradients)(work, batch, kv_head, keys);
}

void add_element_gradients(const CpuBackward& work, int tensor, Rows batches, Rows heads,
                           Rows rows) {
  HWY_DYNAMIC_DISPATCH(element_gradients)(work, tensor, batches, heads, rows);
}

}  // namespace streamattn
#endif

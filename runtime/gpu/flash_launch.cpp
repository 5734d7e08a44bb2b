// Tensor maps and launch parameters of flash_wgmma kernels.
#include "runtime/gpu/flash_launch.h"

#include <llvm/ADT/Hashing.h>
#include <llvm/Support/FormatVariadic.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "compiler/families/flash_wgmma/flash_wgmma.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

Strides strides(const Tensor& t) { return {t.batch_stride, t.seq_stride, t.head_stride}; }

CUtensorMapSwizzle swizzle(int chunk) {
  return chunk == 64   ? CU_TENSOR_MAP_SWIZZLE_128B
         : chunk == 32 ? CU_TENSOR_MAP_SWIZZLE_64B
                       : CU_TENSOR_MAP_SWIZZLE_32B;
}

// A box is one chunk of columns times `rows`. TMA clips at the tensor's edges, so padded columns
// and rows past the end read as zero and are not written. A tensor without elements, which no
// kernel touches, is mapped as one element at `anywhere`.
BoxedTensor boxed(const Tensor& t, DType type, int rows, void* anywhere) {
  bool empty = t.batch == 0 || t.seq == 0 || t.heads == 0;
  auto size = [](std::int64_t n) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(n, 1));
  };
  // Strides of dimensions of size 1 may be anything; the driver wants multiples of 16.
  auto stride = [&](std::int64_t n, std::int64_t elements) {
    return static_cast<std::uint64_t>(n > 1 ? elements * bytes(type) : 16);
  };
  return {empty ? anywhere : t.data,
          {size(t.dim), size(t.seq), size(t.heads), size(t.batch)},
          {stride(t.seq, t.seq_stride), stride(t.heads, t.head_stride),
           stride(t.batch, t.batch_stride)},
          type,
          rows,
          chunk_columns(static_cast<int>(size(t.dim)))};
}

TensorMap encode_by_driver(const char* name, const BoxedTensor& tensor) {
  const std::uint32_t box[4] = {static_cast<std::uint32_t>(tensor.columns),
                                static_cast<std::uint32_t>(tensor.rows), 1, 1};
  const std::uint32_t element_strides[4] = {1, 1, 1, 1};
  auto type = tensor.type == DType::f16 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16
                                        : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
  TensorMap map;
  check(driver().cuTensorMapEncodeTiled(
            &map, type, 4, tensor.data, tensor.dims, tensor.byte_strides, box, element_strides,
            CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle(tensor.columns),
            CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE),
        name);
  return map;
}

// Encoding costs about a microsecond of host time, and the tensors of a model come round again and
// again: each thread remembers its last maps, one for each of a few hash values.
TensorMap remembered_map(const char* name, const BoxedTensor& tensor) {
  struct Slot {
    BoxedTensor tensor;
    TensorMap map;
  };
  constexpr std::size_t slots = 256;
  thread_local std::vector<Slot> remembered(slots);
  std::size_t hash =
      llvm::hash_combine(tensor.data, tensor.dims[1], tensor.byte_strides[0], tensor.rows);
  Slot& slot = remembered[hash % slots];
  if (!(slot.tensor == tensor)) slot = {tensor, encode_by_driver(name, tensor)};
  return slot.map;
}

int checked_items(std::int64_t q_tiles, std::int64_t heads) {
  if (q_tiles * heads > std::numeric_limits<int>::max())
    throw Error(ErrorCode::invalid_argument,
                llvm::formatv("{0} query tiles x {1} heads are more than 2^31 - 1 work items",
                              q_tiles, heads));
  return static_cast<int>(q_tiles * heads);
}

OutputParams output_params(const ForwardCall& call) {
  return {call.o.data, static_cast<float*>(call.lse.data), strides(call.o), strides(call.lse)};
}

}  // namespace

FlashDevice flash_device(const GpuDevice& device) {
  return {device.sms(), device.l2_bytes(), remembered_map};
}

FlashParams flash_params(const Problem& problem, const Schedule& schedule, const ForwardCall& call,
                         const FlashDevice& device, const KeySplit& split) {
  if (schedule.split_keys && split.partial.o == nullptr)
    throw Error(ErrorCode::invalid_schedule, "split_keys needs a workspace, this launch has none");
  FlashTiling tiling = flash_tiling(problem, schedule);
  std::int64_t heads = call.batch() * call.heads();
  std::int64_t q_tiles = (call.q_len() + tiling.tile_q - 1) / tiling.tile_q;

  FlashParams p = {};
  p.order.items = checked_items(q_tiles, heads * split.splits);
  if (p.order.items == 0) return p;
  auto map = [&](const char* name, const Tensor& t, DType type, int rows) {
    return device.encode(name, boxed(t, type, rows, /*anywhere=*/call.q.data));
  };
  p.q = map("tensor map of q", call.q, problem.dtype, tiling.tile_q);
  p.k = map("tensor map of k", call.k, problem.dtype, tiling.tile_kv);
  p.v = map("tensor map of v", call.v, problem.dtype, tiling.tile_kv);
  if (tiling.o_bytes() > 0) p.o = map("tensor map of o", call.o, problem.output_dtype(), 64);
  p.output = output_params(call);
  p.partial = split.partial;
  p.order.splits = split.splits;
  p.sequence.q_len = static_cast<int>(call.q_len());
  p.sequence.kv_len = static_cast<int>(call.kv_len());
  p.sequence.q_position = static_cast<int>(call.q_position);
  p.sequence.k_position = static_cast<int>(call.k_position);
  p.score.scale_log2 = call.scale * 1.44269504088896F;
  p.order.q_tiles = static_cast<int>(q_tiles);
  p.order.heads = static_cast<int>(call.heads());
  p.order.all_heads = static_cast<int>(heads);
  Shape shape{call.batch(), call.kv_heads(), call.q_len(), call.kv_len()};
  p.order.section_heads =
      flash_section_heads(problem, schedule, shape, device.sms, device.l2_bytes);
  return p;
}

CombineParams combine_params(const ForwardCall& call, const KeySplit& split) {
  return {.partial = split.partial,
          .output = output_params(call),
          .q_len = static_cast<int>(call.q_len()),
          .heads = static_cast<int>(call.heads()),
          .all_heads = static_cast<int>(call.batch() * call.heads()),
          .columns = static_cast<int>(call.o.dim),
          .splits = split.splits};
}

}  // namespace streamattn

// Tiles of the CPU's forward pass, for the instruction set of the machine.
#include "runtime/cpu/tile.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/cpu/tile.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h, by Highway's rules.
#include <hwy/highway.h>

#include "runtime/cpu/pair_operands-inl.h"
#include "runtime/cpu/softmax_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace streamattn {
namespace HWY_NAMESPACE {

template <typename Operands>
void run_tile(const Problem& problem, const FlatProblem& exprs, const ForwardCall& call,
              const CpuTile& tile, std::int64_t tile_kv) {
  Tile<Operands>(problem, exprs, call, tile, tile_kv).run();
}

void attend_tile(const Problem& problem, const FlatProblem& exprs, const ForwardCall& call,
                 const CpuTile& tile, std::int64_t tile_kv) {
  if (problem.dtype == DType::f32)
    return run_tile<FloatOperands<float>>(problem, exprs, call, tile, tile_kv);
  if (problem.dtype == DType::f16)
    return run_tile<FloatOperands<hwy::float16_t>>(problem, exprs, call, tile, tile_kv);
  if (multiply_pairs() != nullptr)
    return run_tile<PairOperands>(problem, exprs, call, tile, tile_kv);
  return run_tile<FloatOperands<hwy::bfloat16_t>>(problem, exprs, call, tile, tile_kv);
}

int block_rows() { return static_cast<int>(block_lanes()); }
const char* vector_target() { return hwy::TargetName(HWY_TARGET); }

}  // namespace HWY_NAMESPACE
}  // namespace streamattn
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace streamattn {

HWY_EXPORT(attend_tile);
HWY_EXPORT(block_rows);
HWY_EXPORT(vector_target);

void attend_tile(const Problem& problem, const FlatProblem& exprs, const ForwardCall& call,
                 const CpuTile& tile, std::int64_t tile_kv) {
  HWY_DYNAMIC_DISPATCH(attend_tile)(problem, exprs, call, tile, tile_kv);
}

int block_rows() { return HWY_DYNAMIC_DISPATCH(block_rows)(); }
const char* vector_target() { return HWY_DYNAMIC_DISPATCH(vector_target)(); }

}  // namespace streamattn
#endif

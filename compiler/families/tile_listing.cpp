// Sources and launches of kernels that list tiles.
#include "compiler/families/tile_listing.h"

#include <llvm/Support/FormatVariadic.h>

#include <algorithm>

#include "compiler/expr/score_policy.h"
#include "compiler/expr/tile_policy.h"
#include "compiler/families/launch_params.h"

namespace streamattn {
namespace {

constexpr int bounds_threads = 256, slice = 64;  // rows that have bounds of their own

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// Bounds that the tiles of a batch entry and head have.
std::int64_t bounds_of_list(const Problem& problem, const KeyListParams& p, int tile_q) {
  const TileValues values(problem.mask);
  return static_cast<std::int64_t>(values.of_rows.size()) * p.q_tiles * (tile_q / slice) +
         static_cast<std::int64_t>(values.of_keys.size()) * p.key_tiles;
}

}  // namespace

Source tile_listing_source(const Problem& problem, const std::string& header, const char* include,
                           const char* name, const char* parameters, std::size_t parameter_bytes,
                           int tile_q, int tile_kv, int threads) {
  const Problem mask_alone{.group_size = problem.group_size, .mask = problem.mask};
  std::string text = header;
  text +=
      llvm::formatv("// {0} of {1} x {2}, mask: {3}\n", name, tile_q, tile_kv, problem.mask.text());
  text += llvm::formatv("#include \"{0}\"\n\n", include);
  text += "namespace streamattn {\n" + score_policy(mask_alone) + "\n" + tile_policy(mask_alone) +
          "}\n\n";
  text += "struct Spec {\n";
  text += "  using Score = streamattn::ProblemScore;\n";
  text += "  using Tiles = streamattn::ProblemTiles;\n";
  text +=
      llvm::formatv("  static constexpr int tile_q = {0}, tile_kv = {1}, threads = {2};\n};\n\n",
                    tile_q, tile_kv, threads);
  text += llvm::formatv("extern \"C\" __global__ void __launch_bounds__({0})\n", threads);
  text += llvm::formatv(
      "streamattn_{0}(const __grid_constant__ streamattn::{1} params) {{\n"
      "  streamattn::{0}<Spec>(params);\n"
      "}\n",
      name, parameters);
  constexpr int bytes_of_warp = 16;
  return {.text = std::move(text),
          .entry = std::string("streamattn_") + name,
          .threads = threads,
          .dynamic_smem_bytes = threads / 32 * bytes_of_warp,
          .parameter_bytes = parameter_bytes};
}

Source tile_bounds_source(const Problem& problem, const std::string& header, int tile_q,
                          int tile_kv) {
  return tile_listing_source(problem, header, "forward/key_lists.cuh", "tile_bounds",
                             "ListingParams", sizeof(ListingParams), tile_q, tile_kv,
                             bounds_threads);
}

ListedTiles listed_tiles(const Problem& problem, const ForwardCall& call, int tile_q, int tile_kv,
                         WorkspaceSlices& workspace) {
  const TileOwners owners = tile_owners(problem.mask);
  KeyListParams p = {.lists = nullptr,
                     .bounds = nullptr,
                     .batches = owners.batches ? static_cast<int>(call.batch()) : 1,
                     .heads = owners.heads ? static_cast<int>(call.heads()) : 1,
                     .q_tiles = static_cast<int>(ceil_div(call.q_len(), tile_q)),
                     .key_tiles = static_cast<int>(ceil_div(call.kv_len(), tile_kv))};
  const int bounds = checked_int(
      std::int64_t{p.batches} * p.heads * bounds_of_list(problem, p, tile_q), "bounds of tiles");
  p.bounds = workspace.take<int>("bounds of tiles", std::int64_t{2} * bounds);
  return {p, bounds};
}

bool add_tile_bounds(Plan& steps, std::size_t kernel, const ListingParams& params,
                     std::int64_t bounds, int sms) {
  constexpr std::int64_t blocks_of_multiprocessor = 8, warps = bounds_threads / 32;
  if (bounds == 0) return false;
  add_launch(steps, kernel, std::min(ceil_div(bounds, warps), sms * blocks_of_multiprocessor),
             params);
  return true;
}

}  // namespace streamattn

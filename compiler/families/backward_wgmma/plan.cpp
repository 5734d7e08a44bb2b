// Launches of backward_wgmma kernels.
#include <llvm/Support/FormatVariadic.h>

#include <algorithm>

#include "compiler/expr/build.h"
#include "compiler/expr/tile_policy.h"
#include "compiler/families/backward_wgmma/backward_wgmma.h"
#include "compiler/families/launch_params.h"
#include "compiler/families/tile_listing.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

constexpr std::int64_t blocks_of_multiprocessor = 8;  // of kernels that move memory
constexpr std::size_t row_sums = 0, main_kernel = 1, clearing = 2, summing = 3;  // of the program
constexpr std::size_t bounding = 4, listing = 5;  // the same, where data decide the mask

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

void require_addressable(const BackwardCall& call) {
  const ForwardCall& forward = call.forward;
  require_countable(forward);
  for (const auto& [name, tensor] :
       {std::pair("q", &forward.q), std::pair("k", &forward.k), std::pair("v", &forward.v),
        std::pair("o", &forward.o), std::pair("d_o", &call.d_o), std::pair("d_q", &call.d_q),
        std::pair("d_k", &call.d_k), std::pair("d_v", &call.d_v)})
    require_tma(name, *tensor);
}

/// Sizes that all kernels of a call share. Packed sequences are as one, with a place for every tile
/// (backward/sequences.cuh).
struct Sizes {
  Sizes(const ForwardCall& call, const BackwardTiling& tiling)
      : all_heads(entries(call) * call.heads()),
        all_kv_heads(entries(call) * call.kv_heads()),
        rows(tiles(call, call.q, call.q_len(), tiling.tile_q) * tiling.tile_q),
        key_tiles(tiles(call, call.k, call.kv_len(), tiling.tile_kv())) {
    // Those of queries have places by offsets, those of keys are listed.
    if (call.sequences)
      key_tiles = std::min(key_tiles, call.batch() * ceil_div(call.kv_len(), tiling.tile_kv()));
    checked_int(all_heads * rows, "rows of queries");
    checked_int(all_kv_heads * key_tiles, "tiles of keys");
  }

  /// Tiles of dQ that are added up as one.
  std::int64_t sums() const { return all_heads * rows / BackwardTiling::sum_rows; }

  std::int64_t all_heads, all_kv_heads;
  std::int64_t rows;  // of queries of a head, padded to whole tiles
  std::int64_t key_tiles;

 private:
  static std::int64_t entries(const ForwardCall& call) {
    return call.sequences ? std::min<std::int64_t>(call.batch(), 1) : call.batch();
  }
  static std::int64_t tiles(const ForwardCall& call, const Tensor& tensor, std::int64_t longest,
                            std::int64_t side) {
    if (!call.sequences) return ceil_div(longest, side);
    return longest == 0 ? 0 : tensor.seq / side + call.batch();
  }
};

/// Whether a mask hides pairs, of which nothing that is not finite may get into results: the main
/// kernel is launched once more, and does nothing where all results of the first time are finite.
bool is_watched(const Problem& problem) { return constant_of(problem.mask) != 1; }

/// Counters of `parts` parts of dQ; of two launches, where a word that says what the first one has
/// found follows.
std::int64_t counter_words(const Problem& problem, std::int64_t parts) {
  return is_watched(problem) ? 2 * parts + 1 : parts;
}

RowSumParams sum_params(const Problem& problem, const BackwardCall& call, const Sizes& sizes,
                        const BackwardParams& to) {
  const ForwardCall& forward = call.forward;
  return {
      .o = forward.o.data,
      .d_o = call.d_o.data,
      .lse = static_cast<const float*>(forward.lse.data),
      .o_strides = strides(forward.o),
      .d_o_strides = strides(call.d_o),
      .lse_strides = strides(forward.lse),
      .to = to.statistics,
      .counters = to.d_q_sums.counters,
      .counter_count = static_cast<int>(counter_words(problem, sizes.sums() * to.d_q_sums.parts)),
      .q_len = static_cast<int>(forward.q_len()),
      .heads = static_cast<int>(forward.heads()),
      .all_heads = static_cast<int>(sizes.all_heads),
      .batch = to.batch,
      .key_tiles = to.key_tiles};
}

ClearParams clear_params(const BackwardCall& call, const Sizes& sizes, const BackwardParams& p) {
  return {.of = p.d_q_sums,
          .count = static_cast<int>(sizes.sums()),
          .d_q = call.d_q.data,
          .strides = strides(call.d_q),
          .q_len = static_cast<int>(call.forward.q_len()),
          .heads = static_cast<int>(call.forward.heads()),
          .element_bytes = bytes(call.d_q.dtype),
          .row_bytes = static_cast<int>(call.d_q.dim * bytes(call.d_q.dtype)),
          .batch = p.batch};
}

/// Takes memory for parts of dK and dV, to which items of `p` that are parts go.
SumPartsParams take_parts(const BackwardCall& call, const BackwardTiling& tiling,
                          const DeviceFacts& device, WorkspaceSlices& workspace,
                          BackwardParams& p) {
  const std::int64_t rows = std::int64_t{p.order.cut} * p.order.parts * tiling.tile_kv();
  const auto take = [&](const char* what, const Tensor& gradient, const char* map_name,
                        TensorMap& map) {
    void* const data = workspace.take<std::uint16_t>(what, rows * gradient.dim);
    const Tensor parts = Tensor::bshd(data, gradient.dtype, 1, rows, 1, gradient.dim);
    map = device.encode(map_name, boxed(parts, 64, data));
    return data;
  };
  return {.order = p.order,
          .d_k_parts = take("parts of dK", call.d_k, "tensor map of parts of d_k", p.d_k_parts),
          .d_v_parts = take("parts of dV", call.d_v, "tensor map of parts of d_v", p.d_v_parts),
          .d_k = call.d_k.data,
          .d_v = call.d_v.data,
          .d_k_strides = strides(call.d_k),
          .d_v_strides = strides(call.d_v),
          .kv_len = static_cast<int>(call.forward.kv_len())};
}

/// Whether every query sees some key, as far as the problem alone tells.
bool surely_sees(const Problem& problem, const Sizes& sizes) {
  return constant_of(problem.mask) == 1 && sizes.key_tiles > 0 && !problem.is_ragged();
}

void add_main(Plan& steps, BackwardParams p, int sms, bool overlaps_previous) {
  const int blocks = std::min(p.order.items, sms);
  p.order.last_draw = static_cast<unsigned>(p.order.items + blocks) - 1;
  add_launch(steps, main_kernel, blocks, p, overlaps_previous);
}

/// The second launch, which cleans operands.
BackwardParams cleaning(const BackwardParams& first, std::int64_t counters) {
  BackwardParams p = first;
  p.watch = {.found = nullptr, .unless = first.watch.found, .landed = BackwardTiling::landed};
  p.d_q_sums.counters += counters;
  p.order.whole += p.order.cut;
  p.order.items = p.order.whole;
  p.order.cut = 0;
  p.order.parts = 1;
  return p;
}

/// Launches of the main kernel and of those that finish its work, behind row sums.
void add_gradients(Plan& steps, const Problem& problem, const BackwardCall& call,
                   const Sizes& sizes, BackwardParams& p, const SumPartsParams& parts_of_keys,
                   int sms) {
  const std::int64_t counters = sizes.sums() * p.d_q_sums.parts;
  const bool has_rows = counters > 0, has_keys = sizes.key_tiles > 0;
  const bool watches = is_watched(problem) && has_rows && has_keys;
  const bool is_repeated = watches && !call.accumulate;  // what is added to can be computed once
  if (watches)
    p.watch = {.found = is_repeated ? p.d_q_sums.counters + 2 * counters : nullptr,
               .unless = nullptr,
               .landed = call.accumulate ? BackwardTiling::landed : 0};
  if (has_keys) add_main(steps, p, sms, /*overlaps_previous=*/has_rows || problem.is_ragged());
  if (p.order.cut > 0)
    add_launch(steps, summing, sms * blocks_of_multiprocessor, parts_of_keys,
               /*overlaps_previous=*/true);
  if (has_rows && !call.accumulate && !surely_sees(problem, sizes))
    add_launch(steps, clearing, std::min(sizes.sums(), sms * blocks_of_multiprocessor),
               clear_params(call, sizes, p), /*overlaps_previous=*/true);
  if (is_repeated) add_main(steps, cleaning(p, counters), sms, /*overlaps_previous=*/true);
}

/// Launches that find which tiles are seen, and where they write it.
SeenTilesParams add_seen_tiles(Plan& steps, const Problem& problem, const ForwardCall& call,
                               const BackwardParams& p, const BackwardTiling& tiling, int sms,
                               WorkspaceSlices& workspace) {
  const auto [lists, bounds] =
      listed_tiles(problem, call, tiling.tile_q, tiling.tile_kv(), workspace);
  SeenTilesParams seen = {.by_query = nullptr,
                          .by_key = nullptr,
                          .whole_by_key = nullptr,
                          .batches = lists.batches,
                          .heads = lists.heads,
                          .q_tiles = lists.q_tiles,
                          .key_tiles = lists.key_tiles};
  const std::int64_t owners = std::int64_t{seen.batches} * seen.heads;
  const std::int64_t by_query = owners * seen.q_tiles * seen.key_words(),
                     by_key = owners * seen.key_tiles * seen.q_words();
  seen.by_query = workspace.take<unsigned>("tiles seen by queries", by_query);
  seen.by_key = workspace.take<unsigned>("tiles that see keys", by_key);
  seen.whole_by_key = workspace.take<unsigned>("tiles that see all keys", by_key);
  const int squares =
      checked_int(owners * seen.q_words() * seen.key_words(), "squares of 32 x 32 tiles");
  const ListingParams of_bounds = {.sequence = p.sequence, .score = p.score, .lists = lists};
  const bool has_bounds = add_tile_bounds(steps, bounding, of_bounds, bounds, sms);
  add_launch(steps, listing, std::min(squares, 2 * sms), SeenListingParams{of_bounds, seen},
             /*overlaps_previous=*/has_bounds);
  return seen;
}

/// Nothing is cut where dK or dV are float32, which blocks store, or add to, themselves. Does not
/// depend on a cap on multiprocessors, as sums do on their order. Nor of packed sequences, whose
/// visits nobody knows here.
KeyOrderParams key_order(const Problem& problem, const BackwardSchedule& schedule,
                         const BackwardCall& call, const Sizes& sizes, const DeviceFacts& device) {
  const std::int64_t key_tiles = sizes.all_kv_heads * sizes.key_tiles;
  const int multiprocessors = device.multiprocessors;
  BackwardCut cut;
  if (call.d_k.dtype != DType::f32 && call.d_v.dtype != DType::f32 && !problem.is_ragged())
    cut = backward_cut(key_tiles, sizes.rows / schedule.tile_q, problem.group_size, multiprocessors,
                       !problem.mask.node().is_constant());
  Shape shape = call.forward.shape();
  if (problem.is_ragged()) {  // as one sequence: a head is that of all
    shape.batch = 1;
    shape.q_len = call.d_q.seq;
    shape.kv_len = call.d_k.seq;
  }
  const BackwardSections sections =
      backward_sections(problem, schedule, shape, multiprocessors, device.l2_bytes);
  const int whole = static_cast<int>(key_tiles) - cut.cut;
  return {.items = whole + cut.cut * cut.parts,
          .whole = whole,
          .cut = cut.cut,
          .parts = cut.parts,
          .part_tiles = cut.part_tiles,
          .drawn = nullptr,
          .last_draw = 0,
          .key_tiles = static_cast<int>(sizes.key_tiles),
          .kv_heads = static_cast<int>(call.forward.kv_heads()),
          .all_kv_heads = static_cast<int>(sizes.all_kv_heads),
          .section_heads = sections.heads,
          .climbing_sections = sections.climbing};
}

/// The maps of a call's tensors, and where gradients go: one of map and direct is set.
void set_tensors(const BackwardCall& call, const BackwardTiling& tiling, const DeviceFacts& device,
                 BackwardParams& p) {
  const ForwardCall& forward = call.forward;
  void* const anywhere = forward.q.data != nullptr ? forward.q.data : forward.k.data;
  const auto map = [&](const char* name, const Tensor& t, int rows, std::int64_t longest) {
    return device.encode(name, boxed_rows(forward, t, rows, longest, anywhere));
  };
  const auto output = [&](const char* name, const Tensor& t, std::int64_t longest, TensorMap& to,
                          DirectParams& direct) {
    if (t.dtype == DType::f32)
      direct = {static_cast<float*>(t.data), strides(t)};
    else
      to = map(name, t, 64, longest);
  };
  const std::int64_t q_len = forward.q_len(), kv_len = forward.kv_len();
  p.q = map("tensor map of q", forward.q, tiling.tile_q, q_len);
  p.d_o = map("tensor map of d_o", call.d_o, tiling.tile_q, q_len);
  p.k = map("tensor map of k", forward.k, tiling.tile_kv(), kv_len);
  p.v = map("tensor map of v", forward.v, tiling.tile_kv(), kv_len);
  output("tensor map of d_q", call.d_q, q_len, p.d_q, p.d_q_direct);
  output("tensor map of d_k", call.d_k, kv_len, p.d_k, p.d_k_direct);
  output("tensor map of d_v", call.d_v, kv_len, p.d_v, p.d_v_direct);
}

}  // namespace

BatchParams packed_batch(const ForwardCall& call) {
  return call.sequences ? batch_params(call) : BatchParams{};
}

BoxedTensor boxed_rows(const ForwardCall& call, const Tensor& tensor, int rows,
                       std::int64_t longest, void* anywhere) {
  return call.sequences ? boxed_sequences(tensor, rows, longest, anywhere)
                        : boxed(tensor, rows, anywhere);
}

Plan backward_plan(const Problem& problem, const Schedule& chosen, const ResolvedCall& resolved,
                   const DeviceFacts& device, WorkspaceSlices& workspace) {
  const auto schedule = settings_of<BackwardSchedule>(chosen);
  const auto& call = std::get<BackwardCall>(resolved);
  const ForwardCall& forward = call.forward;
  require_addressable(call);
  const BackwardTiling tiling = backward_tiling(problem, schedule);
  const Sizes sizes(forward, tiling);
  Plan steps;
  if (sizes.all_heads == 0) {
    plan_element_gradients(problem, call, {}, device, workspace, steps);
    return steps;
  }

  BackwardParams p = {};
  set_tensors(call, tiling, device, p);
  p.batch = packed_batch(forward);
  const bool is_packed = problem.is_ragged();
  if (is_packed)
    p.key_tiles = {.words = workspace.take<int>("tiles of keys", 8 * sizes.key_tiles),
                   .room = static_cast<int>(sizes.key_tiles),
                   .group_rows = backward_group_rows(problem, device.l2_bytes)};
  const std::int64_t rows = sizes.all_heads * sizes.rows;
  p.statistics = {.minus_lse = workspace.take<float>("LSE of rows", rows),
                  .minus_delta = workspace.take<float>("row sums", rows),
                  .padded_len = static_cast<int>(sizes.rows),
                  .lse_unit = 1};
  const std::int64_t parts = sizes.sums() * tiling.dq_parts();
  p.d_q_sums = {
      .sums = workspace.take<float>("sums of dQ", parts * tiling.dq_elements()),
      .counters = workspace.take<unsigned>("counters of dQ", counter_words(problem, parts)),
      .tiles = static_cast<int>(sizes.rows / BackwardTiling::sum_rows),
      .parts = tiling.dq_parts()};
  p.sequence = sequence_params(forward);
  p.score = score_params(forward);
  if (!problem.changes_score()) {
    // Smaller ones would have LSEs in units of them overflow. Scores are 0 then in any case.
    p.score.scale_log2 = std::max(p.score.scale_log2, 0x1p-60F);
    p.statistics.lse_unit = p.score.scale_log2;
  }
  const int sms = multiprocessors(forward, device);
  p.order = key_order(problem, schedule, call, sizes, device);
  SumPartsParams parts_of_keys = {};
  if (p.order.cut > 0) parts_of_keys = take_parts(call, tiling, device, workspace, p);
  p.accumulate = call.accumulate;
  if (problem.dropout) p.dropout = dropout_params(forward.dropout);

  const bool has_rows = rows > 0, has_keys = sizes.key_tiles > 0;
  if (has_rows && has_keys && walks_by_bits(problem))
    p.seen = add_seen_tiles(steps, problem, forward, p, tiling, sms, workspace);
  const bool lists = is_packed && has_keys;
  if (has_rows || lists) {
    // Rows of 128 columns that a block takes at a time; of others, blocks stride.
    constexpr std::int64_t rows_of_block = 32, most_blocks = 1 << 16;
    const std::int64_t blocks = std::min(ceil_div(rows, rows_of_block), most_blocks);
    add_launch(steps, row_sums, std::max<std::int64_t>(blocks, 1),
               sum_params(problem, call, sizes, p));
  }
  p.order.drawn = device.zero_words(1);
  add_gradients(steps, problem, call, sizes, p, parts_of_keys, sms);
  plan_element_gradients(problem, call, p.statistics, device, workspace, steps);
  return steps;
}

}  // namespace streamattn

// Launches of flash_wgmma kernels.
#include <algorithm>

#include "compiler/families/flash_wgmma/flash_wgmma.h"
#include "compiler/families/launch_params.h"
#include "compiler/families/tile_listing.h"

namespace streamattn {
namespace {

OrderParams order_params(const Problem& problem, const FlashSchedule& schedule,
                         const ForwardCall& call, const DeviceFacts& device) {
  const int sms = multiprocessors(call, device);
  const std::int64_t heads = flash_heads(problem, schedule, call.shape());
  const std::int64_t q_tiles =
      (flash_rows(schedule, call.shape()) + schedule.tile_q - 1) / schedule.tile_q;
  const int splits = flash_splits(problem, schedule, call.shape(), heads * q_tiles, sms);
  return {
      .items = checked_int(heads * q_tiles * splits, "work items"),
      .q_tiles = static_cast<int>(q_tiles),
      .heads = static_cast<int>(call.heads() / schedule.packed_heads),
      .all_heads = static_cast<int>(heads),
      .section_heads = flash_section_heads(problem, schedule, call.shape(), sms, device.l2_bytes),
      .splits = splits,
      .item_counter = nullptr};
}

/// The same where sequences differ, whose tiles the device counts.
OrderParams order_params_of_batch(const Problem& problem, const FlashSchedule& schedule,
                                  const ForwardCall& call, const DeviceFacts& device) {
  const BatchTiles tiles = flash_batch_tiles(problem, schedule, call);
  const int heads = static_cast<int>(tiles.heads), sms = multiprocessors(call, device);
  const std::int64_t places = flash_list_places(schedule, tiles, sms);
  return {
      .items = checked_int(tiles.heads * places, "work items"),
      .q_tiles = static_cast<int>(places),
      .heads = heads,
      .all_heads = heads,
      .section_heads = flash_section_heads_of_batch(problem, schedule, tiles, sms, device.l2_bytes),
      .splits = 1,
      .item_counter = nullptr};
}

/// The launch that lists the query tiles of sequences that differ, of the first kernel.
QueryListParams add_query_listing(Plan& steps, const FlashSchedule& schedule,
                                  const ForwardCall& call, const FlashParams& p, int sms,
                                  WorkspaceSlices& workspace) {
  constexpr std::int64_t words_of_tile = 8, words_in_front = 4;
  QueryListingParams listing{.batch = batch_params(call), .score = p.score};
  listing.queries.words =
      workspace.take<int>("query tiles", words_in_front + words_of_tile * p.order.q_tiles);
  if (schedule.split_keys)
    listing.shares = {.places = p.order.q_tiles,
                      .heads = p.order.heads,
                      .blocks = sms,
                      .splits = schedule.splits};
  add_launch(steps, 0, 1, listing);
  return listing.queries;
}

/// How tiles of keys in pages are loaded.
PagedKeysParams paged_params(const FlashSchedule& schedule, const ForwardCall& call) {
  return {.pages = batch_params(call).pages,
          .box_rows = page_box_rows(call, schedule.tile_kv),
          .k = {call.k.data, strides(call.k)},
          .kv_heads = static_cast<int>(call.kv_heads())};
}

/// Blocks of the kernel that merges so many rows.
std::int64_t combine_blocks(std::int64_t rows, int columns, int sms) {
  constexpr std::int64_t columns_of_thread = 8, blocks_of_multiprocessor = 16;
  const std::int64_t rows_of_block = flash_combine_threads / (columns / columns_of_thread);
  return std::min((rows + rows_of_block - 1) / rows_of_block, sms * blocks_of_multiprocessor);
}

/// The launch that merges the shares.
void add_combine(Plan& steps, std::size_t kernel, const FlashSchedule& schedule,
                 const ForwardCall& call, const FlashParams& shares, int sms) {
  const CombineParams p{.partial = shares.partial,
                        .output = output_params(call),
                        .rows = static_cast<int>(flash_rows(schedule, call.shape())),
                        .heads = shares.order.heads,
                        .all_heads = shares.order.all_heads,
                        .packed_heads = schedule.packed_heads,
                        .columns = static_cast<int>(call.o.dim),
                        .splits = shares.order.splits};
  const std::int64_t rows = std::int64_t{p.all_heads} * p.rows;
  add_launch(steps, kernel, combine_blocks(rows, p.columns, sms), p, /*overlaps_previous=*/true);
}

/// The same where sequences differ.
void add_listed_combine(Plan& steps, std::size_t kernel, const Problem& problem,
                        const FlashSchedule& schedule, const ForwardCall& call,
                        const FlashParams& shares, int sms) {
  ListedCombineParams p{.partial = shares.partial,
                        .output = output_params(call),
                        .queries = shares.queries,
                        .tile_q = schedule.tile_q,
                        .heads = shares.order.heads,
                        .packed_heads = schedule.packed_heads,
                        .columns = static_cast<int>(call.o.dim)};
  if (problem.q_layout == SequenceLayout::packed)
    p.output.o_strides.batch = p.output.lse_strides.batch = 0;
  const std::int64_t rows = std::int64_t{shares.order.items} * schedule.tile_q;
  add_launch(steps, kernel, combine_blocks(rows, p.columns, sms), p, /*overlaps_previous=*/true);
}

/// Rows of all results of shares: of a slot each where sequences differ, else of the call.
std::int64_t rows_of_shares(const FlashSchedule& schedule, const ForwardCall& call,
                            const OrderParams& order) {
  if (call.sequences) return checked_int(std::int64_t{order.items} * schedule.tile_q, "rows of O");
  const std::int64_t rows =
      checked_int(order.all_heads * flash_rows(schedule, call.shape()), "rows of O");
  return order.splits * rows;
}

/// Launches that list key tiles, of the first two kernels, and their lists.
KeyListParams add_listing(Plan& steps, const Problem& problem, const FlashSchedule& schedule,
                          const ForwardCall& call, const FlashParams& p, int sms,
                          WorkspaceSlices& workspace) {
  auto [lists, bounds] = listed_tiles(problem, call, schedule.tile_q, schedule.tile_kv, workspace);
  const std::int64_t owners = std::int64_t{lists.batches} * lists.heads;
  const int queries = checked_int(owners * lists.q_tiles, "lists of key tiles");
  lists.lists = workspace.take<int>("key lists", std::int64_t{queries} * (1 + lists.key_tiles));
  const ListingParams listing{.sequence = p.sequence, .score = p.score, .lists = lists};
  constexpr int blocks_of_multiprocessor = 8;
  const bool has_bounds = add_tile_bounds(steps, 0, listing, bounds, sms);
  add_launch(steps, 1, std::min(queries, sms * blocks_of_multiprocessor), listing,
             /*overlaps_previous=*/has_bounds);
  return lists;
}

}  // namespace

BatchTiles flash_batch_tiles(const Problem& problem, const FlashSchedule& schedule,
                             const ForwardCall& call) {
  const std::int64_t queries = schedule.tile_q / schedule.packed_heads;
  const std::int64_t q_len = std::min(call.q_len(), call.q.seq), kv_len = call.kv_len();
  std::int64_t q_tiles = call.batch() * ((q_len + queries - 1) / queries);
  // Each packed sequence may end with a part of a tile.
  if (problem.q_layout == SequenceLayout::packed)
    q_tiles = std::min(q_tiles, call.q.seq / queries + call.batch());
  const bool is_packed = problem.kv_layout == SequenceLayout::packed;
  return {.q_tiles = q_tiles,
          .heads = call.heads() / schedule.packed_heads,
          .kv_rows = is_packed ? call.k.seq : call.batch() * kv_len};
}

Plan flash_plan(const Problem& problem, const Schedule& chosen, const ResolvedCall& resolved,
                const DeviceFacts& device, WorkspaceSlices& workspace) {
  const auto schedule = settings_of<FlashSchedule>(chosen);
  const auto& call = std::get<ForwardCall>(resolved);
  require_addressable(call);
  const FlashTiling tiling = flash_tiling(problem, schedule);
  if (call.batch() == 0 || call.heads() == 0 || call.q_len() == 0) return {};

  const auto map = [&](const char* name, const Tensor& t, int rows, int heads = 1) {
    void* const anywhere = call.q.data;
    return device.encode(
        name, heads > 1 ? boxed_by_heads(t, rows, heads, anywhere) : boxed(t, rows, anywhere));
  };
  FlashParams p = {};
  p.order = call.sequences ? order_params_of_batch(problem, schedule, call, device)
                           : order_params(problem, schedule, call, device);
  p.q = map("tensor map of q", call.q, tiling.tile_q, tiling.packed_heads);
  if (tiling.layout.kv_paged) p.paged = paged_params(schedule, call);
  const int kv_rows = p.paged.box_rows > 0 ? p.paged.box_rows : tiling.tile_kv;
  p.k = map("tensor map of k", call.k, kv_rows);
  p.v = map("tensor map of v", call.v, kv_rows);
  if (tiling.o_bytes() > 0) p.o = map("tensor map of o", call.o, 64, tiling.packed_heads);
  p.sequence = sequence_params(call);
  p.score = score_params(call);
  p.v_rows = {call.v.data, strides(call.v)};
  if (problem.dropout) p.dropout = dropout_params(call.dropout);
  if (schedule.split_keys) {
    const std::int64_t rows = rows_of_shares(schedule, call, p.order);
    p.partial.o = workspace.take<float>("O of shares", rows * call.o.dim);
    p.partial.lse = workspace.take<float>("LSE of shares", rows);
  } else {
    p.output = output_params(call);
  }
  const int sms = multiprocessors(call, device);
  // Where each block has one item none is drawn, and the driver is spared a question.
  if (schedule.tile_order == TileOrder::dynamic && p.order.items > sms)
    p.order.item_counter = device.zero_words(1);

  Plan steps;
  std::size_t kernel = 0;
  if (schedule.key_lists) {
    p.lists = add_listing(steps, problem, schedule, call, p, sms, workspace);
    kernel = 2;
  }
  if (call.sequences) {
    p.queries = add_query_listing(steps, schedule, call, p, sms, workspace);
    kernel = 1;
  }
  add_launch(steps, kernel, std::min(p.order.items, sms), p, /*overlaps_previous=*/true);
  if (schedule.split_keys && call.sequences)
    add_listed_combine(steps, kernel + 1, problem, schedule, call, p, sms);
  else if (schedule.split_keys)
    add_combine(steps, kernel + 1, schedule, call, p, sms);
  return steps;
}

}  // namespace streamattn

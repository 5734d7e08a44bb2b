// The work items of a forward kernel, and where their rows are.
#pragma once

#include "forward/query_list.cuh"
#include "parts/scores.cuh"

namespace streamattn {

template <class Spec>
constexpr bool splits_keys = Spec::tiling.output == OutputPath::partial;

/// Whether sequences differ in length or place.
template <class Spec>
constexpr bool is_ragged = !Spec::tiling.layout.is_equal();

/// Whether keys lie in pages.
template <class Spec>
constexpr bool is_paged = Spec::tiling.layout.kv_paged;

template <bool split_keys>
struct ListedItem {
  using Type = SequenceItem;
};
template <>
struct ListedItem<true> {
  using Type = ShareItem;
};

template <class Spec, bool ragged = is_ragged<Spec>>
struct FlashItemOf {
  using Type = WorkItem;
  using Order = TileOrder<splits_keys<Spec>>;
  SA_DEVICE static Order order(const FlashParams& params) { return {params.order}; }
};
template <class Spec>
struct FlashItemOf<Spec, true> {
  using Type = typename ListedItem<splits_keys<Spec>>::Type;
  using Order = ListOrder<Type>;
  SA_DEVICE static Order order(const FlashParams& params) { return {params.order, params.queries}; }
};
template <class Spec>
using FlashItem = typename FlashItemOf<Spec>::Type;

/// The sequence of an item, and the policy for it.
template <class Spec>
SA_DEVICE Sequence sequence_of(const FlashParams& params, FlashItem<Spec> item) {
  if constexpr (is_ragged<Spec>)
    return {item.q_len, item.kv_len, item.q_position, params.sequence.k_position};
  else
    return {params.sequence, item};
}
template <class Spec>
SA_DEVICE typename Spec::Score score_of(const FlashParams& params, WorkItem item,
                                        const Sequence& sequence) {
  if constexpr (is_ragged<Spec>)
    return score_of_sequence<typename Spec::Score>(params.score, item, sequence);
  else
    return {params.score, item, sequence};
}

/// Shares of the keys of the item's tile.
template <class Spec>
SA_DEVICE int shares_of(const FlashParams& params, FlashItem<Spec> item) {
  if constexpr (is_ragged<Spec> && splits_keys<Spec>)
    return item.shares;
  else
    return params.order.splits;
}

/// Where an item's rows are: entries of q, o and lse, and of k and v where these have no pages, and
/// in these its sequence's first rows.
template <class Spec>
SA_DEVICE int q_entry_of(WorkItem item) {
  return Spec::tiling.layout.q_packed ? 0 : item.batch;
}
template <class Spec>
SA_DEVICE int kv_entry_of(WorkItem item) {
  return Spec::tiling.layout.kv_packed ? 0 : item.batch;
}
template <class Spec>
SA_DEVICE int first_q_row_of(FlashItem<Spec> item) {
  if constexpr (is_ragged<Spec>)
    return item.q_row;
  else
    return 0;
}
template <class Spec>
SA_DEVICE int first_kv_row_of(FlashItem<Spec> item) {
  if constexpr (is_ragged<Spec>)
    return item.kv_row;
  else
    return 0;
}

/// Of an item: the KV head, and the first of the query heads whose rows it has.
template <class Spec>
SA_DEVICE int kv_head_of(WorkItem item) {
  return item.head / (Spec::group_size / Spec::tiling.packed_heads);
}
template <class Spec>
SA_DEVICE WorkItem first_head_of(WorkItem item) {
  item.head *= Spec::tiling.packed_heads;
  return item;
}

/// Queries of a tile; of an item, the position of the first.
template <class Spec>
constexpr int tile_queries = Spec::tiling.tile_q / Spec::tiling.packed_heads;
template <class Spec>
SA_DEVICE int first_query_of(const Sequence& sequence, WorkItem item) {
  return sequence.q_position + item.q_tile * tile_queries<Spec>;
}

}  // namespace streamattn

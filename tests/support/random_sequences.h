// Random batches of sequences that differ, for every target.
#pragma once

#include <cstdint>

#include <vector>

#include "measure/backward_case.h"

namespace streamattn {

/// What cases are drawn from.
struct SequenceDraw {
  std::vector<DType> types = {DType::f16, DType::bf16, DType::f32};
  std::vector<int> head_dims = {8, 24, 64};
  std::vector<int> value_head_dims = {8, 40, 64};
  std::vector<int> group_sizes = {1, 2, 3, 8};
  std::vector<std::int64_t> page_sizes = {1, 2, 3, 7, 16, 24, 64};
  std::int64_t most_sequences = 5;
  std::int64_t most_queries = 20;
  std::int64_t most_keys = 300;
};

/// A case of problem number `problem`: lengths of zero, one and one off a tile are as likely as all
/// others together. Equal problems of different seeds differ in nothing that is compiled in.
ForwardCase random_sequences(const SequenceDraw& draw, std::uint64_t problem, std::uint64_t seed);

/// The backward pass through such a case, of packed sequences in place of pages: some gradients are
/// float32, some of these are added to what is there. On a GPU all sequences are packed, and O is
/// as Q.
BackwardCase random_gradients(const SequenceDraw& draw, std::uint64_t problem, std::uint64_t seed,
                              bool on_gpu);

}  // namespace streamattn

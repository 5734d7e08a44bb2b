// Random batches of sequences that differ, for every target.
#pragma once

#include <cstdint>

#include <vector>

#include "measure/forward_case.h"

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

}  // namespace streamattn

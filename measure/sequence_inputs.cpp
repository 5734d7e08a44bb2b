// Packs and pages sequences.
#include "measure/sequence_inputs.h"

#include <llvm/Support/FormatVariadic.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>
#include <string_view>

#include "measure/host_memory.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

// Entries that nobody may read, and between the rows of the table.
constexpr std::int32_t garbage = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t gap = 3;

std::int64_t pages_for(std::int64_t keys, std::int64_t page_size) {
  return keys / page_size + (keys % page_size != 0 ? 1 : 0);
}

/// Throws Error (invalid_argument) for what 32-bit lengths and offsets cannot say.
void require_countable(std::string_view what, std::int64_t count) {
  if (count <= std::numeric_limits<std::int32_t>::max()) return;
  throw Error(
      ErrorCode::invalid_argument,
      llvm::formatv("{0}: {1} are more than 32-bit lengths and offsets can say", what, count));
}

}  // namespace

SequenceInputs::SequenceInputs(const Problem& problem, const Shape& shape,
                               const SequenceLengths& lengths, std::uint64_t seed)
    : q_{shape.batch, shape.q_len, shape.q_len, {}, {}, {}},
      kv_{shape.batch, shape.kv_len, shape.kv_len, {}, {}, {}} {
  require_memory(llvm::formatv("a batch of {0} sequences", shape.batch),
                 2.0 * sizeof(std::int64_t) * static_cast<double>(shape.batch));
  for (std::int64_t i = 0; i < shape.batch; i++) {
    q_.lengths.push_back(lengths.q_len(i, shape));
    kv_.lengths.push_back(lengths.kv_len(i, shape));
  }
  if (!problem.is_ragged()) return;
  require_countable("rows of a sequence of q", q_.longest);
  require_countable("rows of a sequence of k", kv_.longest);
  if (problem.q_lens) q_.lens.assign(q_.lengths.begin(), q_.lengths.end());
  if (problem.has_kv_lens()) kv_.lens.assign(kv_.lengths.begin(), kv_.lengths.end());
  view_.batch = shape.batch;
  if (problem.q_layout == SequenceLayout::packed) q_.pack(problem.q_lens);
  if (problem.kv_layout == SequenceLayout::packed) kv_.pack(problem.kv_lens);
  if (problem.kv_layout == SequenceLayout::paged) page(lengths.page_size, seed);
  const auto data = [](const std::vector<std::int32_t>& array) {
    return array.empty() ? nullptr : array.data();
  };
  view_.cu_seqlens_q = data(q_.cu_seqlens), view_.cu_seqlens_kv = data(kv_.cu_seqlens);
  view_.q_lens = data(q_.lens), view_.kv_lens = data(kv_.lens);
  view_.block_table = data(table_);
  // A bound of 0 would be none.
  const auto bound = [](const Side& side) { return std::max<std::int64_t>(side.longest, 1); };
  if (view_.cu_seqlens_q != nullptr || view_.q_lens != nullptr) view_.max_q_len = bound(q_);
  if (view_.cu_seqlens_kv != nullptr || view_.kv_lens != nullptr) view_.max_kv_len = bound(kv_);
}

void SequenceInputs::Side::pack(bool has_lens) {
  cu_seqlens = {has_lens ? 2 : 0};
  for (std::size_t i = 0; i < lengths.size(); i++) {
    const std::int64_t room = lengths[i] + (has_lens ? static_cast<std::int64_t>(i % 3) : 0);
    require_countable("rows of packed sequences", cu_seqlens.back() + room);
    cu_seqlens.push_back(cu_seqlens.back() + static_cast<std::int32_t>(room));
  }
  batch = 1;
  seq = cu_seqlens.back();
}

void SequenceInputs::page(std::int64_t page_size, std::uint64_t seed) {
  std::int64_t used = 0;
  for (const std::int64_t length : kv_.lengths) used += pages_for(length, page_size);
  require_countable("pages of k", used);
  view_.pages = pages_for(kv_.longest, page_size);
  view_.block_table_stride = view_.pages + gap;
  require_memory(
      llvm::formatv("a block table of {0} sequences x {1} pages", kv_.lengths.size(), view_.pages),
      sizeof(std::int32_t) * static_cast<double>(kv_.lengths.size()) *
          static_cast<double>(view_.block_table_stride));
  table_.assign(kv_.lengths.size() * view_.block_table_stride, garbage);
  std::vector<std::int32_t> free(used + 2);
  std::iota(free.begin(), free.end(), 0);
  std::ranges::shuffle(free, std::mt19937_64(seed));
  std::size_t next = 0;
  for (std::size_t i = 0; i < kv_.lengths.size(); i++)
    for (std::int64_t p = 0; p < pages_for(kv_.lengths[i], page_size); p++)
      table_[i * view_.block_table_stride + p] = free[next++];
  kv_.batch = static_cast<std::int64_t>(free.size());
  kv_.seq = page_size;
}

SequenceInputs::Place SequenceInputs::key_place(std::int64_t index, std::int64_t key) const {
  if (table_.empty())
    return kv_.cu_seqlens.empty() ? Place{index, key} : Place{0, kv_.cu_seqlens[index] + key};
  return {table_[index * view_.block_table_stride + key / kv_.seq], key % kv_.seq};
}

void SequenceInputs::fill_queries(HostTensor& tensor, std::uint64_t seed,
                                  Distribution distribution) const {
  for (std::size_t i = 0; i < q_.lengths.size(); i++) {
    for (std::int64_t s = 0; s < q_.lengths[i]; s++) {
      const auto b = static_cast<std::int64_t>(i);
      const Place at = q_.cu_seqlens.empty() ? Place{b, s} : Place{0, q_.cu_seqlens[i] + s};
      tensor.fill_row(at.batch, at.seq, b * q_.longest + s, seed, distribution);
    }
  }
}

void SequenceInputs::fill_keys(HostTensor& tensor, std::uint64_t seed,
                               Distribution distribution) const {
  for (std::size_t i = 0; i < kv_.lengths.size(); i++) {
    for (std::int64_t s = 0; s < kv_.lengths[i]; s++) {
      const auto b = static_cast<std::int64_t>(i);
      const Place at = key_place(b, s);
      tensor.fill_row(at.batch, at.seq, b * kv_.longest + s, seed, distribution);
    }
  }
}

}  // namespace streamattn

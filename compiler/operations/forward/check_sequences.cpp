// What lengths, offsets and tables of sequences must be, as far as the host can tell.
#include "compiler/operations/forward/check_sequences.h"

#include <llvm/Support/FormatVariadic.h>
#include <llvm/Support/MathExtras.h>

#include <string>
#include <string_view>
#include <utility>

#include "compiler/operations/forward/sequences.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

// What int32 counts: offsets and lengths stand in it.
constexpr std::int64_t limit = std::int64_t{1} << 31;

template <typename... Values>
[[noreturn]] void refuse(const char* format, Values&&... values) {
  throw Error(ErrorCode::invalid_argument,
              llvm::formatv(format, std::forward<Values>(values)...).str());
}

/// An array of Sequences, whether the problem has it, and what says so.
struct Array {
  std::string_view name;
  const std::int32_t* data;
  bool wanted;
  std::string_view reason;
};

/// Calls visit(array) for each.
template <class Visit>
void for_each_array(const Problem& problem, const Sequences& given, const Visit& visit) {
  const bool q_packed = problem.q_layout == SequenceLayout::packed;
  const bool kv_packed = problem.kv_layout == SequenceLayout::packed;
  const bool paged = problem.kv_layout == SequenceLayout::paged;
  visit(Array{"cu_seqlens_q", given.cu_seqlens_q, q_packed, "q_layout packed"});
  visit(Array{"cu_seqlens_kv", given.cu_seqlens_kv, kv_packed, "kv_layout packed"});
  visit(Array{"q_lens", given.q_lens, problem.q_lens, "q_lens"});
  visit(Array{"kv_lens", given.kv_lens, problem.has_kv_lens(), "kv_lens"});
  visit(Array{"block_table", given.block_table, paged, "kv_layout paged"});
}

void check_size(std::string_view name, std::int64_t size) {
  if (size < 0) refuse("{0} is {1}, must not be negative", name, size);
  if (size >= limit) refuse("{0} is {1}, must be less than {2}", name, size, limit);
}

/// A size that means nothing to the problem.
void refuse_idle(std::string_view name, std::int64_t size, bool wanted, std::string_view reason) {
  if (!wanted && size != 0)
    refuse("sequences: {0} is {1}, the problem has no {2}", name, size, reason);
}

void check_batch(const Problem& problem, const ForwardArgs& args, std::string_view q) {
  const std::int64_t batch = args.sequences.batch;
  check_size("sequences: batch", batch);
  if (problem.q_layout == SequenceLayout::packed) {
    if (args.q.batch != 1) refuse("{0}: batch is {1}, needs 1 ({0} is packed)", q, args.q.batch);
  } else if (batch != 0 && batch != args.q.batch) {
    refuse("sequences: batch is {0}, needs {1} (batch of {2}) or 0", batch, args.q.batch, q);
  }
}

void check_pages(const Problem& problem, const ForwardArgs& args) {
  const Sequences& given = args.sequences;
  const bool paged = problem.kv_layout == SequenceLayout::paged;
  refuse_idle("pages", given.pages, paged, "kv_layout paged");
  refuse_idle("block_table_stride", given.block_table_stride, paged, "kv_layout paged");
  if (!paged) return;
  check_size("sequences: pages", given.pages);
  check_size("k: batch", args.k.batch);
  if (args.k.seq < 1) refuse("k: seq is {0}, needs 1 or more (page_size)", args.k.seq);
  if (given.block_table_stride != 0 && given.block_table_stride < given.pages)
    refuse("sequences: block_table_stride is {0}, needs {1} (pages) or more, or 0",
           given.block_table_stride, given.pages);
  check_size("sequences: block_table_stride", given.block_table_stride);
  std::int64_t keys = 0;
  if (llvm::MulOverflow(given.pages, args.k.seq, keys) || keys >= limit)
    refuse("sequences: {0} pages of {1} keys are too many, needs less than {2} keys", given.pages,
           args.k.seq, limit);
}

}  // namespace

void check_sequence_sizes(const Problem& problem, const ForwardArgs& args, std::string_view q) {
  const Sequences& given = args.sequences;
  for_each_array(problem, given, [](const Array& array) {
    if (array.data != nullptr && !array.wanted)
      refuse("sequences: {0} is given, the problem has no {1}", array.name, array.reason);
  });
  if (!problem.is_ragged()) {
    refuse_idle("batch", given.batch, false, "lengths that differ");
    refuse_idle("max_q_len", given.max_q_len, false, "lengths that differ");
    refuse_idle("max_kv_len", given.max_kv_len, false, "lengths that differ");
  }
  check_pages(problem, args);
  if (!problem.is_ragged()) return;
  check_batch(problem, args, q);
  check_size("sequences: max_q_len", given.max_q_len);
  check_size("sequences: max_kv_len", given.max_kv_len);
  check_size(std::string(q) + ": seq", args.q.seq);
  check_size("k: seq", args.k.seq);
  const bool q_differs = problem.q_lens || problem.q_layout != SequenceLayout::dense;
  const bool kv_differs = problem.has_kv_lens() || problem.kv_layout != SequenceLayout::dense;
  refuse_idle("max_q_len", given.max_q_len, q_differs, "q_lens");
  refuse_idle("max_kv_len", given.max_kv_len, kv_differs, "kv_lens");
  for (const auto& [name, rows] :
       {std::pair("q_rows", args.q_rows), std::pair("kv_rows", args.kv_rows)})
    if (rows) refuse("{0}: must stay out where lengths stand on the device", name);
}

void check_sequence_memory(const Problem& problem, const ForwardArgs& args) {
  if (!problem.is_ragged()) return;
  const bool empty =
      problem.q_layout == SequenceLayout::packed ? args.sequences.batch == 0 : args.q.batch == 0;
  for_each_array(problem, args.sequences, [&](const Array& array) {
    if (!array.wanted || empty) return;
    if (array.data == nullptr) {
      if (array.name == "block_table" && args.sequences.pages == 0) return;
      refuse("sequences: {0} is null, the problem has {1}", array.name, array.reason);
    }
    const auto address = reinterpret_cast<std::uintptr_t>(array.data);
    if (address % alignof(std::int32_t) != 0)
      refuse("sequences: {0} is at {1:x}, needs a multiple of 4", array.name, address);
  });
}

std::int64_t entries_of_k(const Problem& problem, const ForwardArgs& args) {
  if (problem.kv_layout == SequenceLayout::paged) return args.k.batch;
  return problem.kv_layout == SequenceLayout::packed ? 1 : batch_sizes(problem, args).batch;
}

llvm::SmallVector<TensorArg, 5> sequence_arrays(const Problem& problem, const ForwardArgs& args) {
  llvm::SmallVector<TensorArg, 5> arrays;
  Sequences sequences = args.sequences;
  sequences.batch = batch_sizes(problem, args).batch;
  visit_sequence_arrays(sequences,
                        [&](const TensorArg& array, const void*) { arrays.push_back(array); });
  return arrays;
}

}  // namespace streamattn

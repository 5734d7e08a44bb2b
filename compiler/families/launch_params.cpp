// From calls to what kernels count in.
#include "compiler/families/launch_params.h"

#include <llvm/ADT/ArrayRef.h>
#include <llvm/ADT/STLExtras.h>
#include <llvm/Support/FormatVariadic.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "streamattn/error.h"

namespace streamattn {
namespace {

// Kernels count rows in ints, and add and subtract positions.
constexpr std::int64_t length_limit = std::int64_t{1} << 29;

void require_length(const char* name, std::int64_t length) {
  if (length >= length_limit)
    throw Error(
        ErrorCode::invalid_argument,
        llvm::formatv("{0}: seq is {1}, the GPU needs less than {2}", name, length, length_limit));
}

void require_position(const char* name, std::int64_t position, std::int64_t length) {
  if (-length_limit < position && position < length_limit - length) return;
  throw Error(ErrorCode::invalid_argument,
              llvm::formatv("{0}: the first of {1} rows is at position {2}, the GPU needs "
                            "positions within +-{3}",
                            name, length, position, length_limit - 1));
}

/// The values of names as kernels take them.
NamedValues named_values(const ForwardCall& call) {
  NamedValues values = call.named;
  for (const TensorArg& tensor : call.named_tensors)
    if (std::abs(tensor.strides[tensor.rank - 1]) > std::numeric_limits<int>::max())
      throw Error(ErrorCode::invalid_argument,
                  llvm::formatv("tensor \"{0}\": the stride of its last dimension is {1}, the GPU "
                                "needs less than 2^31",
                                tensor.name, tensor.strides[tensor.rank - 1]));
  // Of a tensor without elements none counts, but there must be one: that of a key that is past
  // the last is read before it is hidden.
  const NamedTensor stand_in{.data = call.q.data, .strides = {}, .sizes = {1, 1, 1, 1}};
  for (const TensorArg& tensor : call.named_tensors)
    if (llvm::is_contained(llvm::ArrayRef(tensor.sizes).take_front(tensor.rank), 0))
      for (NamedTensor& named : values.tensors)
        if (named.data == tensor.data) named = stand_in;
  return values;
}

}  // namespace

void require_countable(const ForwardCall& call) {
  require_length("q", std::max(call.q_len(), call.q.seq));
  require_length("k", std::max(call.kv_len(), call.k.seq));
  if (call.heads() > 0 && call.batch() >= length_limit / call.heads())
    throw Error(ErrorCode::invalid_argument,
                llvm::formatv("q: batch is {0} with {1} heads, the GPU needs a product below {2}",
                              call.batch(), call.heads(), length_limit));
  require_position("q", call.q_position, call.q_len());
  require_position("k", call.k_position, call.kv_len());
}

void require_addressable(const ForwardCall& call) {
  require_countable(call);
  require_tma("q", call.q);
  require_tma("k", call.k);
  require_tma("v", call.v);
  require_tma("o", call.o);
}

void require_positions(const char* name, std::int64_t rows, std::int64_t first) {
  require_length(name, rows);
  require_position(name, first, rows);
}

int checked_int(std::int64_t product, const char* what) {
  if (product > std::numeric_limits<int>::max() / 2)
    throw Error(ErrorCode::invalid_argument,
                llvm::formatv("{0} {1} are more than the GPU can count, 2^30 - 1", product, what));
  return static_cast<int>(product);
}

Strides strides(const Tensor& t) { return {t.batch_stride, t.seq_stride, t.head_stride}; }

OutputParams output_params(const ForwardCall& call) {
  return {call.o.data, static_cast<float*>(call.lse.data), strides(call.o), strides(call.lse)};
}

SequenceParams sequence_params(const ForwardCall& call) {
  return {.q_len = static_cast<int>(call.q_len()),
          .kv_len = static_cast<int>(call.kv_len()),
          .q_position = static_cast<int>(call.q_position),
          .k_position = static_cast<int>(call.k_position)};
}

ScoreParams score_params(const ForwardCall& call) {
  return {.scale_log2 = call.scale * 1.44269504088896F,
          .scale = call.scale,
          .q_len = static_cast<int>(call.whole_q_len),
          .kv_len = static_cast<int>(call.whole_kv_len),
          .named = call.named_tensors.empty() ? call.named : named_values(call)};
}

DropoutParams dropout_params(const Dropout& dropout) {
  const unsigned last_kept = static_cast<unsigned>(dropout.kept_of_256()) - 1;  // of the bytes
  constexpr unsigned every_byte = 0x01010101;
  return {.seed = dropout.seed,
          .offset = dropout.offset,
          .addend = (127 - last_kept % 128) * every_byte,
          .half = last_kept >= 128 ? ~0U : 0,
          .of_kept = static_cast<float>(1 / dropout.keep_probability())};
}

BatchLayout batch_layout(const Problem& problem) {
  return {.q_packed = problem.q_layout == SequenceLayout::packed,
          .kv_packed = problem.kv_layout == SequenceLayout::packed,
          .kv_paged = problem.kv_layout == SequenceLayout::paged,
          .q_lens = problem.q_lens,
          .kv_lens = problem.has_kv_lens()};
}

BatchParams batch_params(const BatchSizes& sizes, const Sequences& sequences) {
  return {.batch = static_cast<int>(sizes.batch),
          .q_len = static_cast<int>(sizes.q_len),
          .kv_len = static_cast<int>(sizes.kv_len),
          .q_begins = sequences.cu_seqlens_q,
          .kv_begins = sequences.cu_seqlens_kv,
          .q_lens = sequences.q_lens,
          .kv_lens = sequences.kv_lens,
          .pages = {.block_table = sequences.block_table,
                    .block_table_stride = static_cast<int>(sequences.block_table_stride)}};
}

BatchParams batch_params(const ForwardCall& call) {
  BatchParams p = batch_params(BatchSizes{call.batch(), call.q_len(), call.kv_len()},
                               call.sequences.value_or(Sequences{}));
  p.q_position = static_cast<int>(call.q_position);
  p.k_position = static_cast<int>(call.k_position);
  p.aligns_ends = call.aligns_ends ? 1 : 0;
  p.pages.page_size = static_cast<int>(call.k.seq);
  return p;
}

int page_box_rows(const ForwardCall& call, int tile_kv) {
  constexpr std::int64_t pattern = 8;
  const std::int64_t rows = std::gcd(call.k.seq, std::int64_t{tile_kv});
  return rows % pattern == 0 ? static_cast<int>(rows) : 0;
}

std::string refuse_columns(const char* what, int dim, int most) {
  if (dim % 8 != 0) return llvm::formatv("{0} {1} is not a multiple of 8", what, dim);
  if (dim > most) return llvm::formatv("{0} {1} is more than {2}", what, dim, most);
  return {};
}

std::string refuse_threads(int threads, int lanes, int most) {
  if (threads < 32 || threads > most || threads % 32 != 0)
    return llvm::formatv("threads {0} is not a multiple of 32 in 32..{1}", threads, most);
  if (threads < lanes) return llvm::formatv("threads {0}: a row takes {1}", threads, lanes);
  return {};
}

int multiprocessors(int max_sms, const DeviceFacts& device) {
  return max_sms > 0 ? std::min(max_sms, device.multiprocessors) : device.multiprocessors;
}

int multiprocessors(const ForwardCall& call, const DeviceFacts& device) {
  return multiprocessors(call.max_sms, device);
}

}  // namespace streamattn

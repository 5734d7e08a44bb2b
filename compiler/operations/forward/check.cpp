// What every forward launch checks before it touches memory.
#include "compiler/operations/forward/check.h"

#include <llvm/Support/FormatVariadic.h>
#include <llvm/Support/MathExtras.h>

#include <cmath>
#include <string_view>
#include <utility>

#include "compiler/operations/forward/check_sequences.h"
#include "compiler/operations/forward/sequences.h"
#include "compiler/operations/tensor_overlap.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

// Half the range of the type, so that sums of a position and a length do not overflow.
constexpr std::int64_t limit = std::int64_t{1} << 62;
constexpr int largest_element = 4;  // bytes

/// What one dimension of a tensor must be, and why.
struct Needed {
  std::string_view dimension;
  std::int64_t found;
  std::int64_t needed;
  std::string_view origin;
};

template <typename... Values>
[[noreturn]] void refuse(const char* format, Values&&... values) {
  throw Error(ErrorCode::invalid_argument,
              llvm::formatv(format, std::forward<Values>(values)...).str());
}

void check_type(std::string_view tensor, DType found, DType needed, std::string_view origin) {
  if (found != needed)
    refuse("{0}: dtype is {1}, needs {2} ({3})", tensor, name(found), name(needed), origin);
}

void check_dimensions(std::string_view tensor, std::initializer_list<Needed> sizes) {
  for (const auto& [dimension, found, needed, origin] : sizes) {
    if (found < 0) refuse("{0}: {1} is {2}, must not be negative", tensor, dimension, found);
    if (found != needed)
      refuse("{0}: {1} is {2}, needs {3} ({4})", tensor, dimension, found, needed, origin);
  }
}

/// Lengths of q and k and the number of heads, on which everything else depends.
void check_free_sizes(const Problem& problem, const ForwardArgs& args) {
  const Tensor& q = args.q;
  for (const auto& [name, size] :
       {std::pair("q: batch", q.batch), std::pair("q: seq", q.seq), std::pair("q: heads", q.heads),
        std::pair("k: seq", args.k.seq)}) {
    if (size < 0) refuse("{0} is {1}, must not be negative", name, size);
    if (size >= limit) refuse("{0} is {1}, must be less than {2}", name, size, limit);
  }
  check_sequence_sizes(problem, args);
  const auto [batch, q_len, kv_len] = batch_sizes(problem, args);
  std::int64_t rows = 0;
  if (llvm::MulOverflow(batch, q.heads, rows) || llvm::MulOverflow(rows, q_len, rows) ||
      rows >= limit)
    refuse("q: batch {0} x heads {1} x seq {2} rows are too many, must be less than {3}", batch,
           q.heads, q_len, limit);
  if (q.heads % problem.group_size != 0)
    refuse("q: heads is {0}, needs a multiple of {1} (group_size)", q.heads, problem.group_size);
}

void check_rows(std::string_view name, const std::optional<Rows>& rows, std::string_view tensor,
                std::int64_t length) {
  if (!rows || (0 <= rows->begin && rows->begin <= rows->end && rows->end <= length)) return;
  refuse("{0}: [{1}, {2}) is not a range within the {3} rows of {4}", name, rows->begin, rows->end,
         length, tensor);
}

void check_position(std::string_view name, std::int64_t position, std::int64_t length) {
  if (-limit < position && position < limit - length) return;
  refuse("{0}: is {1} with {2} rows, positions must lie within +-{3}", name, position, length,
         limit - 1);
}

/// Where row 0 of q can be. Where sequences differ, queries do not begin in front of the first key
/// unless there are more of them than keys.
Rows q_positions(const Problem& problem, const ForwardArgs& args) {
  const auto [batch, q_len, kv_len] = batch_sizes(problem, args);
  if (args.q_offset) return {*args.q_offset, *args.q_offset + q_len};
  if (problem.is_ragged()) return {args.k_offset, args.k_offset + kv_len};
  return {args.k_offset + kv_len - q_len, args.k_offset + kv_len};
}

void check_scalars(const Problem& problem, const ForwardArgs& args) {
  const auto [batch, q_len, kv_len] = batch_sizes(problem, args);
  check_rows("q_rows", args.q_rows, "q", args.q.seq);
  check_rows("kv_rows", args.kv_rows, "k", args.k.seq);
  check_position("k_offset", args.k_offset, kv_len);
  check_position("q_offset", args.q_offset.value_or(args.k_offset + kv_len - q_len), q_len);
  if (args.scale && !(std::isfinite(*args.scale) && *args.scale > 0))
    refuse("scale: is {0}, must be finite and positive", *args.scale);
  if (args.max_sms < 0) refuse("max_sms: is {0}, must not be negative", args.max_sms);
}

/// The batch that k and v need, and why.
std::pair<std::int64_t, std::string_view> entries_of_k(const Problem& problem,
                                                       const ForwardArgs& args) {
  switch (problem.kv_layout) {
    case SequenceLayout::packed:
      return {1, "k is packed"};
    case SequenceLayout::paged:
      return {args.k.batch, "pages of k"};
    case SequenceLayout::dense:
      break;
  }
  const bool packed = problem.q_layout == SequenceLayout::packed;
  return {batch_sizes(problem, args).batch, packed ? "batch of sequences" : "batch of q"};
}

NameNeeds::Reach reach_of(const Problem& problem, const ForwardArgs& args) {
  const auto part = [](Rows whole, const std::optional<Rows>& rows) {
    return rows ? Rows{whole.begin + rows->begin, whole.begin + rows->end} : whole;
  };
  const auto [batch, q_len, kv_len] = batch_sizes(problem, args);
  return {.batch = batch,
          .heads = args.q.heads,
          .kv_heads = args.k.heads,
          .q = part(q_positions(problem, args), args.q_rows),
          .k = part({args.k_offset, args.k_offset + kv_len}, args.kv_rows)};
}

bool wants_lse(const Tensor& lse) {
  return lse.data != nullptr || lse.batch != 0 || lse.seq != 0 || lse.heads != 0 || lse.dim != 0;
}

bool has_elements(const Tensor& t) {
  return t.batch != 0 && t.seq != 0 && t.heads != 0 && t.dim != 0;
}

void check_memory(std::string_view name, const Tensor& tensor) {
  if (!has_elements(tensor)) return;
  if (tensor.data == nullptr)
    refuse("{0}: data is null, needs [{1}, {2}, {3}, {4}] elements", name, tensor.batch, tensor.seq,
           tensor.heads, tensor.dim);
  const auto address = reinterpret_cast<std::uintptr_t>(tensor.data);
  if ((address & (bytes(tensor.dtype) - 1)) != 0)
    refuse("{0}: data is at {1:x}, needs a multiple of {2}", name, address, bytes(tensor.dtype));
}

/// The bytes between the first and the last element must be a number that fits.
void check_extent(std::string_view name, const Tensor& tensor) {
  std::int64_t extent = tensor.dim;
  for (const auto& [size, stride] :
       {std::pair(tensor.batch, tensor.batch_stride), std::pair(tensor.seq, tensor.seq_stride),
        std::pair(tensor.heads, tensor.head_stride)}) {
    std::int64_t part = 0;
    if (size <= 1) continue;
    if (stride == std::numeric_limits<std::int64_t>::min() ||
        llvm::MulOverflow(size - 1, std::abs(stride), part) ||
        llvm::AddOverflow(extent, part, extent) || extent >= limit / largest_element)
      refuse("{0}: its strides span more than 2^62 bytes", name);
  }
}

/// Outputs must not share memory with themselves, each other or an input, and the workspace with no
/// tensor.
void check_overlaps(const Problem& problem, const ForwardArgs& args) {
  constexpr int outputs = 2;
  Sequences sequences = args.sequences;
  sequences.batch = batch_sizes(problem, args).batch;
  const struct {
    std::string_view name;
    const Tensor& tensor;
    Footprint footprint;
  } operands[] = {{"o", args.o, Footprint(args.o)},
                  {"lse", args.lse, Footprint(args.lse)},
                  {"q", args.q, Footprint(args.q)},
                  {"k", args.k, Footprint(args.k)},
                  {"v", args.v, Footprint(args.v)}};
  for (int i = 0; i < outputs; i++) {
    const auto& [name, tensor, footprint] = operands[i];
    if (footprint.overlaps_itself())
      refuse(
          "{0}: strides [{1}, {2}, {3}] put several elements at one place, an output needs a "
          "place for each",
          name, tensor.batch_stride, tensor.seq_stride, tensor.head_stride);
    for (std::size_t other = i + 1; other < std::size(operands); other++)
      if (footprint.overlaps(operands[other].footprint))
        refuse("{0}: overlaps {1}, an output needs memory of its own", name, operands[other].name);
    for (const TensorArg& other : args.tensors)
      if (footprint.overlaps(Footprint(other)))
        refuse("{0}: overlaps tensor \"{1}\", an output needs memory of its own", name, other.name);
    visit_sequence_arrays(sequences, [&, name = name](const TensorArg& array, const void*) {
      if (footprint.overlaps(Footprint(array)))
        refuse("{0}: overlaps {1}, an output needs memory of its own", name, array.name);
    });
  }
  if (args.workspace.data == nullptr) return;
  const Footprint workspace(args.workspace);
  for (const auto& operand : operands)
    if (workspace.overlaps(operand.footprint))
      refuse("workspace: overlaps {0}, it needs memory of its own", operand.name);
  for (const TensorArg& tensor : args.tensors)
    if (workspace.overlaps(Footprint(tensor)))
      refuse("workspace: overlaps tensor \"{0}\", it needs memory of its own", tensor.name);
  visit_sequence_arrays(sequences, [&](const TensorArg& array, const void*) {
    if (workspace.overlaps(Footprint(array)))
      refuse("workspace: overlaps {0}, it needs memory of its own", array.name);
  });
}

}  // namespace

void check_forward_sizes(const Problem& problem, const NameNeeds& names, const ForwardArgs& args) {
  check_free_sizes(problem, args);
  const auto& [q, k, v, o, lse] = std::tie(args.q, args.k, args.v, args.o, args.lse);
  const std::int64_t kv_heads = q.heads / problem.group_size;
  const auto [k_batch, k_batch_origin] = entries_of_k(problem, args);
  check_type("q", q.dtype, problem.dtype, "dtype of the problem");
  check_type("k", k.dtype, problem.dtype, "dtype of the problem");
  check_type("v", v.dtype, problem.dtype, "dtype of the problem");
  check_type("o", o.dtype, problem.output_dtype(), "out_dtype of the problem");
  check_dimensions("q", {{"dim", q.dim, problem.head_dim, "head_dim"}});
  check_dimensions("k", {{"batch", k.batch, k_batch, k_batch_origin},
                         {"heads", k.heads, kv_heads, "heads of q / group_size"},
                         {"dim", k.dim, problem.head_dim, "head_dim"}});
  check_dimensions("v", {{"batch", v.batch, k_batch, k_batch_origin},
                         {"seq", v.seq, k.seq, "seq of k"},
                         {"heads", v.heads, kv_heads, "heads of q / group_size"},
                         {"dim", v.dim, problem.v_head_dim(), "value_head_dim"}});
  check_dimensions("o", {{"batch", o.batch, q.batch, "batch of q"},
                         {"seq", o.seq, q.seq, "seq of q"},
                         {"heads", o.heads, q.heads, "heads of q"},
                         {"dim", o.dim, problem.v_head_dim(), "value_head_dim"}});
  if (wants_lse(lse)) {
    check_type("lse", lse.dtype, DType::f32, "natural logarithms");
    check_dimensions("lse", {{"batch", lse.batch, q.batch, "batch of q"},
                             {"seq", lse.seq, q.seq, "seq of q"},
                             {"heads", lse.heads, q.heads, "heads of q"},
                             {"dim", lse.dim, 1, "one value a row"}});
  }
  check_scalars(problem, args);
  names.check(args.scalars, args.tensors, reach_of(problem, args));
}

void check_forward(const Problem& problem, const NameNeeds& names, const ForwardArgs& args) {
  check_forward_sizes(problem, names, args);
  constexpr std::pair<std::string_view, Tensor ForwardArgs::*> tensors[] = {
      {"q", &ForwardArgs::q},
      {"k", &ForwardArgs::k},
      {"v", &ForwardArgs::v},
      {"o", &ForwardArgs::o},
      {"lse", &ForwardArgs::lse}};
  for (const auto& [name, tensor] : tensors) {
    check_memory(name, args.*tensor);
    if (has_elements(args.*tensor)) check_extent(name, args.*tensor);
  }
  NameNeeds::check_memory(args.tensors);
  check_sequence_memory(problem, args);
  check_overlaps(problem, args);
}

void check_forward_sizes(const Problem& problem, const ForwardArgs& args) {
  check_forward_sizes(problem, NameNeeds(problem), args);
}

void check_forward(const Problem& problem, const ForwardArgs& args) {
  check_forward(problem, NameNeeds(problem), args);
}

}  // namespace streamattn

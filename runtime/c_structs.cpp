// Conversion of C structs, field by field.
#include "runtime/c_structs.h"

#include <algorithm>
#include <span>

#include "streamattn/error.h"

namespace streamattn {
namespace {

DType dtype(int32_t type, const char* field) {
  switch (type) {
    case STREAMATTN_F16:
      return DType::f16;
    case STREAMATTN_BF16:
      return DType::bf16;
    case STREAMATTN_F32:
      return DType::f32;
    case STREAMATTN_I32:
      return DType::i32;
    case STREAMATTN_U8:
      return DType::u8;
    default:
      throw Error(ErrorCode::invalid_argument, std::string(field) + " is " + std::to_string(type) +
                                                   ", needs one of streamattn_dtype's types");
  }
}

SequenceLayout layout(int32_t layout, const char* field) {
  if (layout < STREAMATTN_DENSE || layout > STREAMATTN_PAGED)
    throw Error(ErrorCode::invalid_argument, std::string(field) + " is " + std::to_string(layout) +
                                                 ", needs one of streamattn_layout");
  return static_cast<SequenceLayout>(layout);
}
static_assert(static_cast<int>(SequenceLayout::paged) == STREAMATTN_PAGED);

Sequences convert(const streamattn_sequences& from) {
  return {.batch = from.batch,
          .cu_seqlens_q = from.cu_seqlens_q,
          .cu_seqlens_kv = from.cu_seqlens_kv,
          .q_lens = from.q_lens,
          .kv_lens = from.kv_lens,
          .block_table = from.block_table,
          .pages = from.pages,
          .block_table_stride = from.block_table_stride,
          .max_q_len = from.max_q_len,
          .max_kv_len = from.max_kv_len};
}

Tensor convert(const streamattn_tensor& from, const char* name) {
  return {.data = from.data,
          .dtype = dtype(from.dtype, name),
          .batch = from.batch,
          .seq = from.seq,
          .heads = from.heads,
          .dim = from.dim,
          .batch_stride = from.batch_stride,
          .seq_stride = from.seq_stride,
          .head_stride = from.head_stride};
}

/// Elements [0, count) of an array of the caller's, `most` at the most: a count that was never set
/// may be anything.
template <class Element>
std::span<const Element> list(const Element* first, std::size_t count, std::size_t most,
                              const char* name) {
  if (count > most)
    throw Error(ErrorCode::invalid_argument, "there are " + std::to_string(count) + " " + name +
                                                 ", a problem names " + std::to_string(most) +
                                                 " at the most");
  if (count > 0) require(first, name);
  return {first, count};
}

/// What launches of every operation have.
template <class CArgs, class Args>
void convert_launch(const CArgs& from, Args& to, ConvertedNames& names) {
  if (from.scale) to.scale = *from.scale;
  if (from.q_offset) to.q_offset = *from.q_offset;
  to.k_offset = from.k_offset;
  if (from.q_rows) to.q_rows = Rows{from.q_rows->begin, from.q_rows->end};
  if (from.kv_rows) to.kv_rows = Rows{from.kv_rows->begin, from.kv_rows->end};
  to.dropout = {from.dropout.rate, from.dropout.seed, from.dropout.offset};
  to.max_sms = from.max_sms;
  to.workspace = {from.workspace, from.workspace_bytes};
  for (const auto& scalar :
       list(from.scalars, from.scalar_count, NamedValues::most_scalars, "scalars")) {
    require(scalar.name, "the name of a scalar");
    names.scalars.push_back({scalar.name, scalar.value});
  }
  for (const auto& tensor :
       list(from.tensors, from.tensor_count, NamedValues::most_tensors, "tensors")) {
    require(tensor.name, "the name of a tensor");
    TensorArg& added = names.tensors.emplace_back();
    added = {.name = tensor.name,
             .data = tensor.data,
             .dtype = dtype(tensor.dtype, (std::string(tensor.name) + ": dtype").c_str()),
             .rank = tensor.rank};
    std::copy_n(tensor.sizes, added.sizes.size(), added.sizes.begin());
    std::copy_n(tensor.strides, added.strides.size(), added.strides.begin());
  }
  to.scalars = names.scalars;
  to.tensors = names.tensors;
}

/// A tensor that may be left out.
Tensor convert_optional(const streamattn_tensor& from, const char* name) {
  return from.data ? convert(from, name) : Tensor{};
}

RopeStyle rope_style(int32_t style) {
  if (style < STREAMATTN_ROPE_NONE || style > STREAMATTN_ROPE_SPLIT_HALF)
    throw Error(ErrorCode::invalid_argument,
                "rope_style is " + std::to_string(style) + ", needs one of streamattn_rope_style");
  return static_cast<RopeStyle>(style);
}
static_assert(static_cast<int>(RopeStyle::split_half) == STREAMATTN_ROPE_SPLIT_HALF);

}  // namespace

Problem convert(const streamattn_problem& from) {
  Problem problem;
  problem.dtype = dtype(from.dtype, "dtype");
  if (from.out_dtype != STREAMATTN_DTYPE_DEFAULT) {
    problem.out_dtype = dtype(from.out_dtype, "out_dtype");
  }
  problem.head_dim = from.head_dim;
  if (from.value_head_dim != 0) problem.value_head_dim = from.value_head_dim;
  if (from.group_size != 0) problem.group_size = from.group_size;
  if (from.mask) problem.mask = Expr::parse(from.mask);
  if (from.score) problem.score = Expr::parse(from.score, ExprRole::score);
  if (from.sink) problem.sink = Expr::parse(from.sink, ExprRole::score);
  problem.q_layout = layout(from.q_layout, "q_layout");
  problem.kv_layout = layout(from.kv_layout, "kv_layout");
  problem.q_lens = from.q_lens != 0;
  problem.kv_lens = from.kv_lens != 0;
  problem.dropout = from.dropout != 0;
  return problem;
}

Shape convert(const streamattn_shape& from) {
  return {from.batch, from.kv_heads, from.q_len, from.kv_len};
}

ConvertedForward::ConvertedForward(const streamattn_forward_args& from) {
  q = convert(from.q, "q: dtype");
  k = convert(from.k, "k: dtype");
  v = convert(from.v, "v: dtype");
  o = convert(from.o, "o: dtype");
  lse = convert_optional(from.lse, "lse: dtype");
  sequences = convert(from.sequences);
  convert_launch(from, *this, names);
}

ConvertedBackward::ConvertedBackward(const streamattn_backward_args& from) {
  q = convert(from.q, "q: dtype");
  k = convert(from.k, "k: dtype");
  v = convert(from.v, "v: dtype");
  o = convert(from.o, "o: dtype");
  lse = convert(from.lse, "lse: dtype");
  d_o = convert(from.d_o, "d_o: dtype");
  d_q = convert(from.d_q, "d_q: dtype");
  d_k = convert(from.d_k, "d_k: dtype");
  d_v = convert(from.d_v, "d_v: dtype");
  accumulate = from.accumulate != 0;
  sequences = convert(from.sequences);
  convert_launch(from, *this, names);
  for (const auto& gradient :
       list(from.gradients, from.gradient_count, NamedValues::most_tensors, "gradients")) {
    require(gradient.name, "the name of a gradient");
    TensorGradient& added = gradient_args.emplace_back();
    added = {.name = gradient.name, .data = gradient.data};
    std::copy_n(gradient.strides, added.strides.size(), added.strides.begin());
  }
  gradients = gradient_args;
}

AppendArgs convert(const streamattn_append_args& from) {
  Rope rope{.style = rope_style(from.rope_style), .dim = from.rope_dim};
  if (from.rope_theta != 0) rope.theta = from.rope_theta;
  if (from.rope_factor != 0) rope.factor = from.rope_factor;
  rope.cos = convert_optional(from.rope_cos, "rope_cos: dtype");
  rope.sin = convert_optional(from.rope_sin, "rope_sin: dtype");
  return {.new_k = convert(from.new_k, "new_k: dtype"),
          .new_v = convert(from.new_v, "new_v: dtype"),
          .k = convert(from.k, "k: dtype"),
          .v = convert(from.v, "v: dtype"),
          .rope = rope,
          .q = convert_optional(from.q, "q: dtype"),
          .rotated_q = convert_optional(from.rotated_q, "rotated_q: dtype"),
          .k_offset = from.k_offset,
          .sequences = convert(from.sequences),
          .max_sms = from.max_sms};
}

MergeArgs convert(const streamattn_merge_args& from) {
  return {.share_o = convert(from.share_o, "share_o: dtype"),
          .share_lse = convert(from.share_lse, "share_lse: dtype"),
          .o = convert(from.o, "o: dtype"),
          .lse = convert_optional(from.lse, "lse: dtype"),
          .max_sms = from.max_sms};
}

}  // namespace streamattn

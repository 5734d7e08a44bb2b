// Values of V that let O tell which weights of its rows were kept.
#pragma once

#include <algorithm>
#include <vector>

#include "measure/backward_case.h"
#include "measure/dropped_pairs.h"
#include "measure/forward_case.h"
#include "support/half.h"

namespace streamattn {

/// Makes V the unit matrix: column k of O is what its row has of key k, for as many keys as V has
/// columns. Q becomes 0, so that no weight vanishes.
inline void tell_kept_pairs(ForwardTensors& tensors) {
  for (HostTensor* tensor : {&tensors.q, &tensors.v})
    std::fill(tensor->bytes().begin(), tensor->bytes().end(), std::byte{0});
  const Tensor v = tensors.v.view();
  for (std::int64_t b = 0; b < v.batch; b++)
    for (std::int64_t h = 0; h < v.heads; h++)
      for (std::int64_t k = 0; k < std::min(v.seq, v.dim); k++)
        store_element(v.data, v.dtype,
                      b * v.batch_stride + k * v.seq_stride + h * v.head_stride + k, 1);
}

/// Makes dO the unit matrix and Q 0: row k of dV is what all rows have of key k, for as many rows
/// as dO has columns. O and LSE become those of it.
inline void tell_kept_pairs(BackwardTensors& tensors, const BackwardCase& given) {
  tell_kept_pairs(tensors.forward);
  compute_outputs(given, tensors);
  std::fill(tensors.d_o.bytes().begin(), tensors.d_o.bytes().end(), std::byte{0});
  const Tensor d_o = tensors.d_o.view();
  for (std::int64_t b = 0; b < d_o.batch; b++)
    for (std::int64_t h = 0; h < d_o.heads; h++)
      for (std::int64_t q = 0; q < std::min(d_o.seq, d_o.dim); q++)
        store_element(d_o.data, d_o.dtype,
                      b * d_o.batch_stride + q * d_o.seq_stride + h * d_o.head_stride + q, 1);
}

/// Which weights of rows `q` and keys `k` the O of such tensors has; rows of the whole tensors.
inline std::vector<bool> told_pairs(const ForwardTensors& tensors, Rows q, Rows k) {
  const Tensor o = tensors.o.view();
  std::vector<bool> kept;
  for (std::int64_t b = 0; b < o.batch; b++)
    for (std::int64_t h = 0; h < o.heads; h++)
      for (std::int64_t row = q.begin; row < q.end; row++)
        for (std::int64_t key = k.begin; key < k.end; key++)
          kept.push_back(
              load_element(o.data, o.dtype,
                           b * o.batch_stride + row * o.seq_stride + h * o.head_stride + key) != 0);
  return kept;
}

/// Which of them the dV of such tensors has; every query head has keys of its own.
inline std::vector<bool> told_pairs(const BackwardTensors& tensors, Rows q, Rows k) {
  const Tensor d_v = tensors.d_v.view();
  std::vector<bool> kept;
  for (std::int64_t b = 0; b < d_v.batch; b++)
    for (std::int64_t h = 0; h < d_v.heads; h++)
      for (std::int64_t row = q.begin; row < q.end; row++)
        for (std::int64_t key = k.begin; key < k.end; key++)
          kept.push_back(load_element(d_v.data, d_v.dtype,
                                      b * d_v.batch_stride + key * d_v.seq_stride +
                                          h * d_v.head_stride + row) != 0);
  return kept;
}

/// Which of them a call keeps, by definition.
inline std::vector<bool> defined_pairs(const ForwardCase& given, Rows q, Rows k) {
  const std::int64_t q_offset =
      given.q_offset.value_or(given.k_offset + given.shape.kv_len - given.shape.q_len);
  std::vector<bool> kept;
  for (std::int64_t b = 0; b < given.shape.batch; b++)
    for (std::int64_t h = 0; h < given.heads(); h++)
      for (std::int64_t row = q.begin; row < q.end; row++)
        for (std::int64_t key = k.begin; key < k.end; key++)
          kept.push_back(is_kept(given.dropout, {b, h, q_offset + row, given.k_offset + key}));
  return kept;
}

}  // namespace streamattn

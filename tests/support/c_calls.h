// A small call stated in C, with its memory.
#pragma once

#include <cmath>
#include <vector>

#include "measure/random_inputs.h"
#include "streamattn/c_api.h"
#include "streamattn/forward.h"
#include "tests/support/catch.h"

extern "C" streamattn_status c89_create_on_cpu(streamattn_jit** jit);

namespace streamattn {

/// A jit for the CPU that is destroyed at the end.
class CpuJit {
 public:
  CpuJit() { REQUIRE(c89_create_on_cpu(&jit_) == STREAMATTN_OK); }
  ~CpuJit() { streamattn_jit_destroy(jit_); }
  streamattn_jit* get() const { return jit_; }

 private:
  streamattn_jit* jit_ = nullptr;
};

inline constexpr int batch = 2, q_len = 17, kv_len = 29, heads = 6, kv_heads = 2, head_dim = 24;

inline streamattn_problem c_problem() {
  streamattn_problem problem = {};
  problem.struct_size = sizeof problem;
  problem.dtype = STREAMATTN_F32;
  problem.head_dim = head_dim;
  problem.group_size = heads / kv_heads;
  problem.mask = "k <= q";
  return problem;
}

inline streamattn_shape c_shape() {
  return {sizeof(streamattn_shape), batch, kv_heads, q_len, kv_len};
}

inline streamattn_tensor dense(std::vector<float>& data, int seq, int head_count, int dim) {
  return {data.data(),
          STREAMATTN_F32,
          batch,
          seq,
          head_count,
          dim,
          seq * head_count * dim,
          head_count * dim,
          dim};
}

struct Buffers {
  std::vector<float> q = std::vector<float>(batch * q_len * heads * head_dim);
  std::vector<float> k = std::vector<float>(batch * kv_len * kv_heads * head_dim);
  std::vector<float> v = k;
  std::vector<float> o = std::vector<float>(q.size(), NAN);
  std::vector<float> lse = std::vector<float>(batch * q_len * heads, NAN);

  Buffers() {
    fill_random(q.data(), DType::f32, q.size(), 1);
    fill_random(k.data(), DType::f32, k.size(), 2);
    fill_random(v.data(), DType::f32, v.size(), 3);
  }

  streamattn_forward_args args() {
    streamattn_forward_args args = {};
    args.struct_size = sizeof args;
    args.q = dense(q, q_len, heads, head_dim);
    args.k = dense(k, kv_len, kv_heads, head_dim);
    args.v = dense(v, kv_len, kv_heads, head_dim);
    args.o = dense(o, q_len, heads, head_dim);
    args.lse = dense(lse, q_len, heads, 1);
    return args;
  }

  ForwardArgs cpp_args() {
    return {.q = Tensor::bshd(q.data(), DType::f32, batch, q_len, heads, head_dim),
            .k = Tensor::bshd(k.data(), DType::f32, batch, kv_len, kv_heads, head_dim),
            .v = Tensor::bshd(v.data(), DType::f32, batch, kv_len, kv_heads, head_dim),
            .o = Tensor::bshd(o.data(), DType::f32, batch, q_len, heads, head_dim),
            .lse = Tensor::bshd(lse.data(), DType::f32, batch, q_len, heads, 1)};
  }
};

/// The backward launch behind `forward`, whose gradients go to q, k and v of `gradients`.
inline streamattn_backward_args backward_of(const streamattn_forward_args& forward,
                                            std::vector<float>& d_o, Buffers& gradients) {
  streamattn_backward_args args = {};
  args.struct_size = sizeof args;
  args.q = forward.q, args.k = forward.k, args.v = forward.v;
  args.o = forward.o, args.lse = forward.lse;
  args.d_o = dense(d_o, q_len, heads, head_dim);
  args.d_q = dense(gradients.q, q_len, heads, head_dim);
  args.d_k = dense(gradients.k, kv_len, kv_heads, head_dim);
  args.d_v = dense(gradients.v, kv_len, kv_heads, head_dim);
  args.scalars = forward.scalars, args.scalar_count = forward.scalar_count;
  args.tensors = forward.tensors, args.tensor_count = forward.tensor_count;
  return args;
}

}  // namespace streamattn

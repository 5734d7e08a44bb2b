// The backward pass, appends and merges stated in C, on the CPU target.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "streamattn/jit.h"
#include "streamattn/masks.h"
#include "tests/support/c_calls.h"

namespace streamattn {
namespace {

TEST_CASE("gradients asked for in C are those of C++") {
  const CpuJit jit;
  streamattn_problem problem = c_problem();
  problem.score = "score + slope[head] * (k - q)";
  const streamattn_shape shape = c_shape();
  Buffers buffers, d;  // d holds gradients
  std::vector<float> slope = {-0.1F, -0.2F, -0.3F, 0.1F, 0.2F, 0.3F}, d_slope(heads, NAN);
  std::vector<float> d_o(buffers.o.size());
  fill_random(d_o.data(), DType::f32, static_cast<std::int64_t>(d_o.size()), 4);

  streamattn_named_tensor named = {};
  named.name = "slope", named.data = slope.data(), named.dtype = STREAMATTN_F32;
  named.rank = 1, named.sizes[0] = heads, named.strides[0] = 1;
  streamattn_forward_args forward = buffers.args();
  forward.tensors = &named, forward.tensor_count = 1;
  const streamattn_kernel *forward_kernel = nullptr, *kernel = nullptr;
  REQUIRE(streamattn_forward_kernel(jit.get(), &problem, &shape, &forward_kernel) == STREAMATTN_OK);
  REQUIRE(streamattn_launch_forward(forward_kernel, &forward, nullptr) == STREAMATTN_OK);

  const streamattn_named_gradient gradient = {"slope", d_slope.data(), {1}};
  streamattn_backward_args args = backward_of(forward, d_o, d);
  args.gradients = &gradient, args.gradient_count = 1;
  REQUIRE(streamattn_backward_kernel(jit.get(), &problem, &shape, &kernel) == STREAMATTN_OK);
  std::size_t bytes = 1;
  REQUIRE(streamattn_backward_workspace(kernel, &args, &bytes) == STREAMATTN_OK);
  CHECK(bytes == 0);
  REQUIRE(streamattn_launch_backward(kernel, &args, nullptr) == STREAMATTN_OK);
  args.gradient_count = std::size_t{1} << 60;
  CHECK(streamattn_launch_backward(kernel, &args, nullptr) == STREAMATTN_INVALID_ARGUMENT);
  CHECK(streamattn_last_error() ==
        std::string("there are 1152921504606846976 gradients, a problem names 6 at the most"));

  const TensorArg tensors[] = {TensorArg::dense("slope", slope.data(), DType::f32, {heads})};
  std::vector<float> expected(heads, NAN);
  const TensorGradient gradients[] = {TensorGradient::dense(expected.data(), tensors[0])};
  Buffers cpp;
  const ForwardArgs in = buffers.cpp_args();
  const Jit cpp_jit = Jit::create({.target = "cpu"});
  const Problem same{.dtype = DType::f32,
                     .head_dim = head_dim,
                     .group_size = heads / kv_heads,
                     .mask = causal(),
                     .score = alibi()};
  cpp_jit.backward(same, Shape{batch, kv_heads, q_len, kv_len})
      .launch({.q = in.q,
               .k = in.k,
               .v = in.v,
               .o = in.o,
               .lse = in.lse,
               .d_o = Tensor::bshd(d_o.data(), DType::f32, batch, q_len, heads, head_dim),
               .d_q = Tensor::bshd(cpp.q.data(), DType::f32, batch, q_len, heads, head_dim),
               .d_k = Tensor::bshd(cpp.k.data(), DType::f32, batch, kv_len, kv_heads, head_dim),
               .d_v = Tensor::bshd(cpp.v.data(), DType::f32, batch, kv_len, kv_heads, head_dim),
               .gradients = gradients,
               .tensors = tensors});
  CHECK(d.q == cpp.q);
  CHECK(d.k == cpp.k);
  CHECK(d.v == cpp.v);
  CHECK(d_slope == expected);

  CHECK(streamattn_launch_forward(kernel, &forward, nullptr) == STREAMATTN_INVALID_ARGUMENT);
  CHECK(streamattn_last_error() ==
        std::string("kernel is one of backward, this function takes one of forward"));
  CHECK(streamattn_launch_backward(forward_kernel, &args, nullptr) == STREAMATTN_INVALID_ARGUMENT);
}

TEST_CASE("dropout asked for in C is that of C++") {
  const CpuJit jit;
  streamattn_problem problem = c_problem();
  problem.dropout = 1;
  const streamattn_shape shape = c_shape();
  Buffers c, cpp;
  streamattn_forward_args args = c.args();
  args.dropout = {0.25F, 7, std::uint64_t{1} << 40};
  const streamattn_kernel* kernel = nullptr;
  REQUIRE(streamattn_forward_kernel(jit.get(), &problem, &shape, &kernel) == STREAMATTN_OK);
  REQUIRE(streamattn_launch_forward(kernel, &args, nullptr) == STREAMATTN_OK);

  ForwardArgs same = cpp.cpp_args();
  same.dropout = {.rate = 0.25F, .seed = 7, .offset = std::uint64_t{1} << 40};
  const Jit cpp_jit = Jit::create({.target = "cpu"});
  cpp_jit
      .forward({.dtype = DType::f32,
                .head_dim = head_dim,
                .group_size = heads / kv_heads,
                .mask = causal(),
                .dropout = true},
               Shape{batch, kv_heads, q_len, kv_len})
      .launch(same);
  CHECK(c.o == cpp.o);
  args.dropout.rate = 1.5F;
  CHECK(streamattn_launch_forward(kernel, &args, nullptr) == STREAMATTN_INVALID_ARGUMENT);
}

TEST_CASE("appends by way of C turn and place rows as those of C++ do") {
  const CpuJit jit;
  streamattn_problem problem = c_problem();
  problem.kv_lens = 1;
  const streamattn_shape shape = c_shape();
  const streamattn_kernel* kernel = nullptr;
  REQUIRE(streamattn_append_kernel(jit.get(), &problem, &shape, &kernel) == STREAMATTN_OK);

  Buffers from;
  std::vector<float> new_k(from.k.begin(), from.k.begin() + batch * q_len * kv_heads * head_dim);
  std::vector<float> new_v = new_k;
  struct Outputs {
    std::vector<float> k = std::vector<float>(batch * kv_len * kv_heads * head_dim, 7);
    std::vector<float> v = k;
    std::vector<float> q = std::vector<float>(batch * q_len * heads * head_dim, 7);
  } c, cpp;
  const std::int32_t lens[] = {29, 20};
  streamattn_append_args args = {};
  args.struct_size = sizeof args;
  args.new_k = dense(new_k, q_len, kv_heads, head_dim);
  args.new_v = dense(new_v, q_len, kv_heads, head_dim);
  args.k = dense(c.k, kv_len, kv_heads, head_dim);
  args.v = dense(c.v, kv_len, kv_heads, head_dim);
  args.q = dense(from.q, q_len, heads, head_dim);
  args.rotated_q = dense(c.q, q_len, heads, head_dim);
  args.rope_style = STREAMATTN_ROPE_SPLIT_HALF;
  args.rope_dim = 16;
  args.rope_theta = 500;
  args.rope_factor = 2;
  args.k_offset = 3;
  args.sequences.kv_lens = lens;
  REQUIRE(streamattn_launch_append(kernel, &args, nullptr) == STREAMATTN_OK);

  const Jit cpp_jit = Jit::create({.target = "cpu"});
  const Problem same{
      .dtype = DType::f32, .head_dim = head_dim, .group_size = heads / kv_heads, .kv_lens = true};
  const auto tensor = [](std::vector<float>& data, int seq, int head_count) {
    return Tensor::bshd(data.data(), DType::f32, batch, seq, head_count, head_dim);
  };
  cpp_jit.append(same, Shape{batch, kv_heads, q_len, kv_len})
      .launch({.new_k = tensor(new_k, q_len, kv_heads),
               .new_v = tensor(new_v, q_len, kv_heads),
               .k = tensor(cpp.k, kv_len, kv_heads),
               .v = tensor(cpp.v, kv_len, kv_heads),
               .rope = {.style = RopeStyle::split_half, .dim = 16, .theta = 500, .factor = 2},
               .q = tensor(from.q, q_len, heads),
               .rotated_q = tensor(cpp.q, q_len, heads),
               .k_offset = 3,
               .sequences = {.kv_lens = lens}});
  CHECK(c.k == cpp.k);
  CHECK(c.v == cpp.v);
  CHECK(c.q == cpp.q);
  CHECK(c.q != from.q);

  args.rope_style = 3;
  CHECK(streamattn_launch_append(kernel, &args, nullptr) == STREAMATTN_INVALID_ARGUMENT);
  CHECK(streamattn_last_error() ==
        std::string("rope_style is 3, needs one of streamattn_rope_style"));
}

TEST_CASE("merges by way of C add shares up") {
  const CpuJit jit;
  const streamattn_problem problem = c_problem();
  const streamattn_shape shape = c_shape();
  const streamattn_kernel* kernel = nullptr;
  REQUIRE(streamattn_merge_kernel(jit.get(), &problem, &shape, &kernel) == STREAMATTN_OK);
  const auto shares = [](std::vector<float>& data, int dim) {
    streamattn_tensor tensor = dense(data, q_len, heads, dim);
    tensor.batch = 2 * batch;
    return tensor;
  };
  constexpr int rows = batch * q_len * heads;
  std::vector<float> share_o(2 * rows * head_dim, 1), share_lse(2 * rows, 0), o(rows * head_dim);
  std::fill_n(share_o.begin(), rows * head_dim, 2.F);
  streamattn_merge_args args = {};
  args.struct_size = sizeof args;
  args.share_o = shares(share_o, head_dim);
  args.share_lse = shares(share_lse, 1);
  args.o = dense(o, q_len, heads, head_dim);
  REQUIRE(streamattn_launch_merge(kernel, &args, nullptr) == STREAMATTN_OK);
  CHECK(o == std::vector<float>(o.size(), 1.5F));

  std::vector<float> lse(rows);
  args.lse = dense(lse, q_len, heads, 1);
  REQUIRE(streamattn_launch_merge(kernel, &args, nullptr) == STREAMATTN_OK);
  CHECK(lse.back() == Approx(std::log(2)));
  CHECK(streamattn_launch_append(kernel, nullptr, nullptr) == STREAMATTN_INVALID_ARGUMENT);
  CHECK(streamattn_last_error() ==
        std::string("kernel is one of merge, this function takes one of append"));
}

}  // namespace
}  // namespace streamattn

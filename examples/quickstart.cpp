// From a problem to a result on the host CPU: runs everywhere, with or without a GPU.
#include <streamattn/jit.h>

#include <cmath>
#include <iostream>
#include <random>
#include <vector>

using namespace streamattn;

namespace {

constexpr std::int64_t batch = 2, heads = 8, kv_heads = 2, seq = 256, head_dim = 64;

std::vector<float> normal(std::int64_t count, unsigned seed) {
  std::mt19937 bits(seed);
  std::normal_distribution<float> distribution;
  std::vector<float> values(count);
  for (float& value : values) value = distribution(bits);
  return values;
}

}  // namespace

int main() try {
  const Jit jit = Jit::create({.target = "cpu"});

  const Problem problem{.dtype = DType::f32,
                        .head_dim = head_dim,
                        .group_size = heads / kv_heads,
                        .mask = Expr::parse("k <= q")};
  const ForwardKernel& kernel =
      jit.forward(problem, {.batch = batch, .kv_heads = kv_heads, .q_len = seq, .kv_len = seq});
  std::cout << kernel.describe() << "\n";

  const auto q = normal(batch * seq * heads * head_dim, 1);
  const auto k = normal(batch * seq * kv_heads * head_dim, 2);
  const auto v = normal(batch * seq * kv_heads * head_dim, 3);
  std::vector<float> o(q.size());
  kernel.launch({.q = Tensor::bshd(q.data(), DType::f32, batch, seq, heads, head_dim),
                 .k = Tensor::bshd(k.data(), DType::f32, batch, seq, kv_heads, head_dim),
                 .v = Tensor::bshd(v.data(), DType::f32, batch, seq, kv_heads, head_dim),
                 .o = Tensor::bshd(o.data(), DType::f32, batch, seq, heads, head_dim)});

  // The first query sees the first key alone, so its output is that key's value.
  for (std::int64_t d = 0; d < head_dim; ++d) {
    if (std::abs(o[d] - v[d]) > 1e-6f) {
      std::cerr << "o[" << d << "] is " << o[d] << ", " << v[d] << " is needed\n";
      return 1;
    }
  }
  std::cout << "The first query's output is the first key's value, as it must be.\n";
  return 0;
} catch (const Error& error) {
  std::cerr << name(error.code()) << ": " << error.what() << "\n";
  return 1;
}

// A long sequence in chunks, with attention sinks and a sliding window: one kernel serves every
// window. Runs on the host CPU; on a GPU the memory would be the device's, and nothing else
// changes.
#include <streamattn/jit.h>
#include <streamattn/masks.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <random>
#include <string>
#include <vector>

using namespace streamattn;

namespace {

constexpr std::int64_t heads = 4, kv_heads = 2, head_dim = 32, seq = 1000, chunk = 128,
                       sinks_kept = 4;

struct Sequence {
  std::vector<float> q, k, v;
};

std::vector<float> normal(std::int64_t count, unsigned seed) {
  std::mt19937 bits(seed);
  std::normal_distribution<float> distribution;
  std::vector<float> values(count);
  for (float& value : values) value = distribution(bits);
  return values;
}

/// Rows [begin, end) of one batch entry, [seq, heads, head_dim] in memory.
Tensor rows(const std::vector<float>& data, std::int64_t begin, std::int64_t end,
            std::int64_t head_count) {
  return Tensor::bshd(data.data() + begin * head_count * head_dim, DType::f32, 1, end - begin,
                      head_count, head_dim);
}

/// Attention of the whole sequence as a server computes it: chunk by chunk, each against the keys
/// that there are by then. The last query is at the last key unless q_offset says otherwise.
std::vector<float> in_chunks(const ForwardKernel& kernel, const Sequence& x, std::int64_t window) {
  std::vector<float> o(x.q.size());
  const ScalarArg scalars[] = {{"window", static_cast<double>(window)}, {"sinks", sinks_kept}};
  for (std::int64_t begin = 0; begin < seq; begin += chunk) {
    const std::int64_t end = std::min(begin + chunk, seq);
    ForwardArgs args{.q = rows(x.q, begin, end, heads),
                     .k = rows(x.k, 0, end, kv_heads),
                     .v = rows(x.v, 0, end, kv_heads),
                     .o = rows(o, begin, end, heads)};
    args.scalars = scalars;
    kernel.launch(args);
  }
  return o;
}

std::vector<float> at_once(const ForwardKernel& kernel, const Sequence& x) {
  std::vector<float> o(x.q.size());
  kernel.launch({.q = rows(x.q, 0, seq, heads),
                 .k = rows(x.k, 0, seq, kv_heads),
                 .v = rows(x.v, 0, seq, kv_heads),
                 .o = rows(o, 0, seq, heads)});
  return o;
}

/// Attention of one query and head by definition: it sees the last `window` keys, its own among
/// them, and the first ones.
std::vector<float> by_hand(const Sequence& x, std::int64_t row, std::int64_t head,
                           std::int64_t window) {
  const std::int64_t kv_head = head / (heads / kv_heads);
  std::vector<double> sum(head_dim);
  double weights = 0;
  for (std::int64_t key = 0; key <= row; key++) {
    if (key >= sinks_kept && key <= row - window) continue;
    double score = 0;
    for (std::int64_t d = 0; d < head_dim; d++)
      score +=
          x.q[(row * heads + head) * head_dim + d] * x.k[(key * kv_heads + kv_head) * head_dim + d];
    const double weight = std::exp(score / std::sqrt(static_cast<double>(head_dim)));
    weights += weight;
    for (std::int64_t d = 0; d < head_dim; d++)
      sum[d] += weight * x.v[(key * kv_heads + kv_head) * head_dim + d];
  }
  std::vector<float> o;
  for (const double value : sum) o.push_back(static_cast<float>(value / weights));
  return o;
}

float most_apart(const float* a, const float* b, std::int64_t count) {
  float most = 0;
  for (std::int64_t i = 0; i < count; i++) {
    const float apart = std::abs(a[i] - b[i]);
    most = std::isnan(apart) ? INFINITY : std::max(most, apart);
  }
  return most;
}

bool agrees(const char* what, float apart) {
  std::cout << what << ": at most " << apart << " apart\n";
  return apart <= 1e-5f;
}

}  // namespace

int main() try {
  const Jit jit = Jit::create({.target = "cpu"});
  Problem problem{.dtype = DType::f32, .head_dim = head_dim, .group_size = heads / kv_heads};
  const Shape shape{.batch = 1, .kv_heads = kv_heads, .q_len = chunk, .kv_len = seq};

  problem.mask = causal() && (sinks(scalar("sinks")) || sliding_window(scalar("window") - 1));
  const ForwardKernel& streaming = jit.forward(problem, shape);
  problem.mask = causal();
  const ForwardKernel& dense = jit.forward(problem, shape);
  std::cout << streaming.describe() << "\n";

  const Sequence x{.q = normal(seq * heads * head_dim, 1),
                   .k = normal(seq * kv_heads * head_dim, 2),
                   .v = normal(seq * kv_heads * head_dim, 3)};

  // A window as long as the sequence hides nothing.
  const std::vector<float> all = in_chunks(streaming, x, seq), expected = at_once(dense, x);
  bool ok = agrees("window 1000, beside dense attention",
                   most_apart(all.data(), expected.data(), static_cast<std::int64_t>(all.size())));

  // Another window is another number, and the same kernel.
  for (const std::int64_t window : {64, 1}) {
    const std::vector<float> o = in_chunks(streaming, x, window);
    const std::int64_t row = seq - 1, head = heads - 1;
    const std::string what = "window " + std::to_string(window) + ", the last query by hand";
    ok = agrees(what.c_str(), most_apart(o.data() + (row * heads + head) * head_dim,
                                         by_hand(x, row, head, window).data(), head_dim)) &&
         ok;
  }
  std::cout << (ok ? "One kernel served every window.\n" : "A result is wrong.\n");
  return ok ? 0 : 1;
} catch (const Error& error) {
  std::cerr << name(error.code()) << ": " << error.what() << "\n";
  return 1;
}

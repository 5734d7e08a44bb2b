// Odd calls.
#include "autotune/gate.h"

#include <algorithm>

namespace streamattn {

std::vector<ForwardCase> gate_cases(const ForwardCase& call) {
  struct Size {
    std::int64_t batch, kv_heads, q_len, kv_len;
    Distribution distribution;
  };
  constexpr Size sizes[] = {
      {2, 1, 1, 77, Distribution::normal},       {1, 2, 331, 331, Distribution::normal},
      {1, 1, 129, 1057, Distribution::outliers}, {1, 1, 64, 1, Distribution::normal},
      {2, 2, 200, 48, Distribution::normal},
  };
  std::vector<ForwardCase> cases;
  for (const Size& size : sizes) {
    ForwardCase odd = call;
    odd.shape = {size.batch, size.kv_heads, size.q_len, size.kv_len};
    odd.distribution = size.distribution;
    odd.q_offset = {};
    odd.seed = call.seed + cases.size() + 1;
    cases.push_back(std::move(odd));
  }
  return cases;
}

}  // namespace streamattn

// The list of named expressions.
#include "tests/support/compositions.h"

#include <algorithm>

#include "streamattn/masks.h"

namespace streamattn {

std::vector<NamedExpr> named_masks() {
  const Expr n = scalar("n");
  return {{"true", true},
          {"causal()", causal()},
          {"sliding_window(n)", sliding_window(n), {{"n", 37}}},
          {"sliding_window(n, 8)", sliding_window(n, 8), {{"n", 70}}},
          {"sinks(n)", sinks(n), {{"n", 5}}},
          {"prefix(n)", prefix(n), {{"n", 21}}},
          {"chunked(n)", chunked(n), {{"n", 29}}},
          {"block_local(n, 16)", block_local(n, 16), {{"n", 24}}},
          {"dilated(n)", dilated(n), {{"n", 3}}},
          {"document()", document()},
          {"padding()", padding()},
          {"tree()", tree()},
          {"bitmask()", bitmask()},
          {"causal() && (sliding_window(n) || sinks(4))",
           causal() && (sliding_window(n) || sinks(4)),
           {{"n", 33}}}};
}

std::vector<NamedExpr> named_scores() {
  return {{"score", Problem().score},
          {"softcap(30)", softcap(30)},
          {"softcap(cap)", softcap(scalar("cap", DType::f32)), {{"cap", 1.5}}},
          {"alibi()", alibi()},
          {"relative_bias(128)", relative_bias(128)},
          {"additive_bias()", additive_bias()},
          {"temperature()", temperature()}};
}

ForwardCase composed_case(const NamedExpr& mask, const NamedExpr& score, Variation variation,
                          bool has_tiles) {
  const std::int64_t q_len = has_tiles ? 150 : 45, kv_len = has_tiles ? 230 : 53;
  ForwardCase given{
      .problem = {.head_dim = has_tiles ? 64 : 16, .mask = mask.expr, .score = score.expr},
      .shape = {.batch = 2, .kv_heads = 1, .q_len = q_len, .kv_len = kv_len},
      .seed = static_cast<std::uint64_t>(variation) + 1,
      .q_offset = kv_len - q_len,
      .scalars = mask.scalars,
      .tensors = {}};
  given.scalars.insert(given.scalars.end(), score.scalars.begin(), score.scalars.end());
  if (score.name == "alibi()") given.tensors.push_back({"slope", InputKind::slopes});
  switch (variation) {
    case Variation::grouped_heads:
      given.problem.group_size = 4;
      given.shape.batch = 1;
      break;
    case Variation::split_keys:
      given.shape.q_len = 7;
      given.shape.kv_len = has_tiles ? 1100 : 100;  // as many as a GPU splits
      given.q_offset = given.shape.kv_len - 40;
      break;
    case Variation::offsets:
      given.k_offset = -30;
      given.q_offset = -20;
      break;
    case Variation::sub_ranges:
      given.q_rows = Rows{q_len / 7, q_len - 3};
      given.kv_rows = Rows{kv_len / 5, kv_len - 6};
      break;
    case Variation::empty_rows:
      given.q_offset = -q_len + 20;
      break;
  }
  // An index that is a position, not a difference, must not be negative.
  const auto has = [&](const char* text) {
    return (mask.expr.text() + score.expr.text()).find(text) != std::string::npos;
  };
  if (has(", q]") || has(", q,") || has("[q]")) {
    const std::int64_t lift = std::max<std::int64_t>(0, -std::min(*given.q_offset, given.k_offset));
    given.q_offset = *given.q_offset + lift;
    given.k_offset += lift;
  }
  return given;
}

}  // namespace streamattn

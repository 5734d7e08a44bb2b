// Closed forms of masks against the masks themselves, key by key: which keys are seen, and between
// which values expressions lie.
#include "compiler/expr/key_ranges.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "compiler/expr/bounds.h"
#include "compiler/expr/build.h"
#include "streamattn/error.h"
#include "streamattn/masks.h"
#include "tests/support/catch.h"
#include "tests/support/expr_block.h"
#include "tests/support/random_expr.h"

namespace streamattn {
namespace {

/// Of every key of a block, whether some query sees it, and whether all do.
struct Sight {
  std::vector<bool> some, all;
};

Sight sight_by_pairs(const Expr& mask, const ExprBlock& block, const ExprNames& names,
                     const NamedValues& values) {
  const auto holds = all_values<std::uint8_t>(mask, block, names, values);
  Sight sight{std::vector<bool>(block.keys(), false), std::vector<bool>(block.keys(), true)};
  for (std::size_t i = 0; i < holds.size(); i++) {
    const std::int64_t key = static_cast<std::int64_t>(i) % block.keys();
    sight.some[key] = sight.some[key] || holds[i] != 0;
    sight.all[key] = sight.all[key] && holds[i] != 0;
  }
  return sight;
}

struct Ends {
  std::int64_t begin, end;
};

std::vector<Ends> ends_of(const std::vector<KeyRange>& ranges, const ExprBlock& block,
                          const ExprNames& names, const NamedValues& values) {
  std::vector<Ends> all;
  for (const KeyRange& range : ranges)
    all.push_back({integer_at(range.begin, block.at, names, values),
                   integer_at(range.end, block.at, names, values)});
  return all;
}

std::vector<bool> keys_in(const std::vector<Ends>& ranges, const ExprBlock& block) {
  std::vector<bool> in(block.keys(), false);
  for (const Ends& range : ranges)
    for (std::int64_t k = block.at.k_first; k < block.at.k_end; k++)
      if (range.begin <= k && k < range.end) in[k - block.at.k_first] = true;
  return in;
}

Sight sight_by_ranges(const KeyRanges& ranges, const ExprBlock& block, const ExprNames& names,
                      const NamedValues& values) {
  return {keys_in(ends_of(ranges.seen, block, names, values), block),
          keys_in(ends_of(ranges.full, block, names, values), block)};
}

/// What makes the ranges of a mask wrong for a block; empty where nothing does.
std::string fault_of(const KeyRanges& ranges, const Expr& mask, const ExprBlock& block,
                     const ExprNames& names, const NamedValues& values) {
  const Sight wanted = sight_by_pairs(mask, block, names, values);
  const Sight found = sight_by_ranges(ranges, block, names, values);
  for (std::int64_t key = 0; key < block.keys(); key++) {
    const std::string name = "key " + std::to_string(block.at.k_first + key);
    if (wanted.some[key] && !found.some[key]) return name + " is seen, and in no range";
    if (found.all[key] && !wanted.all[key]) return name + " is full, and hidden from a query";
  }
  const std::vector<Ends> seen = ends_of(ranges.seen, block, names, values);
  for (std::size_t i = 1; i < seen.size(); i++)
    if (ranges.ends_descend && seen[i - 1].end < seen[i].end) return "ends do not descend";
  for (const Ends& range : seen)
    if (range.begin < INT32_MIN || range.end > INT32_MAX) return "an end does not fit 32 bits";
  return "";
}

RandomExprOptions options_of(std::uint64_t seed) {
  switch (seed % 4) {
    case 0:
      return {.depth = 4};
    case 1:
      return {.depth = 5, .has_names = false, .has_reals = false};
    case 2:
      return {.depth = 5, .has_reals = false, .is_linear = true};
    default:
      return {.depth = 3, .has_reals = false};
  }
}

/// Calls check(mask, random) for so many random masks.
template <class Check>
void for_random_masks(int count, const Check& check) {
  int refused = 0;
  for (int seed = 1; seed <= count; seed++) {
    std::optional<Expr> mask;
    try {
      mask = RandomExprs(seed, options_of(seed)).mask().expr();
    } catch (const Error& error) {
      if (error.code() != ErrorCode::invalid_problem) throw;
      refused++;  // constants grew beyond 32 bits
      continue;
    }
    std::mt19937_64 random(seed);
    check(*mask, random);
  }
  CHECK(refused < count / 10);
}

std::string place_of(const ExprBlock& block, const RandomValues& values) {
  return block.describe() + ", window " + std::to_string(values.window) + ", n " +
         std::to_string(values.n);
}

}  // namespace

TEST_CASE("of random masks every key that is seen is in a range, and full keys are seen by all") {
  int closed = 0;
  for_random_masks(10000, [&](const Expr& mask, std::mt19937_64& random) {
    const KeyRanges ranges(mask);
    REQUIRE(ranges.seen.size() <= KeyRanges::most);
    REQUIRE(ranges.full.size() <= KeyRanges::most);
    const ExprNames names{mask};
    const RandomValues values(random);
    for (int i = 0; i < 4; i++) {
      const ExprBlock block = ExprBlock::random(random, 50);
      const std::string fault = fault_of(ranges, mask, block, names, values.in_order_of(names));
      if (fault.empty()) continue;
      FAIL_CHECK(mask.text() << ": " << fault << ", " << place_of(block, values));
      break;
    }
    closed += static_cast<int>(!ranges.full.empty());
  });
  CHECK(closed > 3000);
}

TEST_CASE("ranges of masks with names are exact") {
  const std::string window = "(k <= q && k >= q - window)";
  const std::vector<Expr> masks = {
      true,
      false,
      causal(),
      sliding_window(9),
      sliding_window(9, 4),
      sliding_window(scalar("window"), 2),
      sinks(scalar("n")),
      causal() && (sinks(4) || sliding_window(scalar("window"))),
      causal() && (sinks(scalar("n")) || sliding_window(7)),
      prefix(scalar("n")),
      chunked(16),
      chunked(scalar("n")),
      causal() && chunked(16),
      block_local(scalar("n"), 5),
      causal() && block_local(8, 3),
      padding(),
      causal() && padding(),
      !causal(),
      Expr::parse("abs(q - k) <= 5"),
      Expr::parse("abs(2 * k - q) <= window"),
      Expr::parse("k >= min(q, n) && k <= max(q - 30, n)"),
      Expr::parse("head % 2 == 0 || k <= q"),
      Expr::parse("select(head % 2 == 0, k <= q, k >= q - n)"),
      Expr::parse("k <= select(kv_head == 1, q, q + window)"),
      Expr::parse("q - k < select(head < 4, 6, 12) && k <= q"),
      Expr::parse("select(head % 2 == 0, " + window + ", k < 8 || k >= kv_len - 5)"),
      Expr::parse("3 * k <= 2 * q + 1"),
      Expr::parse("k // 4 <= q // 8"),
      Expr::parse("k // n < q // n || k > q + 20"),
      Expr::parse("k <= length[batch] && k >= q - window"),
  };
  for (const Expr& mask : masks) {
    const KeyRanges ranges(mask);
    const ExprNames names{mask};
    for (int seed = 0; seed < 300; seed++) {
      std::mt19937_64 random(seed);
      const RandomValues values(random);
      const NamedValues named = values.in_order_of(names);
      const ExprBlock block = ExprBlock::random(random, 80);
      INFO(mask.text() << ", " << place_of(block, values));
      REQUIRE(fault_of(ranges, mask, block, names, named).empty());
      const Sight wanted = sight_by_pairs(mask, block, names, named);
      const Sight found = sight_by_ranges(ranges, block, names, named);
      REQUIRE(found.some == wanted.some);
      REQUIRE(found.all == wanted.all);
    }
  }
}

TEST_CASE("masks of key and query apart, as most are, have few ranges that descend") {
  CHECK(KeyRanges(causal()).seen.size() == 1);
  CHECK(KeyRanges(sliding_window(5, 3)).seen.size() == 1);
  CHECK(KeyRanges(causal() && (sinks(4) || sliding_window(100))).seen.size() == 2);
  CHECK(KeyRanges(false).seen.empty());
  CHECK(KeyRanges(document()).full.empty());
  for (const Expr& mask : {causal(), prefix(9), chunked(scalar("n")), padding()})
    CHECK(KeyRanges(mask).ends_descend);
}

TEST_CASE("lengths at the ends of 32 bits are ends of ranges as others") {
  for (const char* text : {"k < length[batch]", "k <= length[batch]", "k > length[batch]",
                           "k >= length[batch]", "q + k <= length[batch]"}) {
    const Expr mask = Expr::parse(text);
    const KeyRanges ranges(mask);
    const ExprNames names{mask};
    const std::int32_t most = 2147483647;
    for (const std::int32_t length : {-most - 1, -most, most - 1, most}) {
      NamedValues values = {};
      values.tensors[0] = {&length, {1}, {1}};
      std::mt19937_64 random(1);
      const ExprBlock block = ExprBlock::random(random, 40);
      INFO(text << " of " << length);
      CHECK(fault_of(ranges, mask, block, names, values).empty());
    }
  }
}

TEST_CASE("what ranges compute fits 32 bits where the mask's own integers do") {
  const std::vector<Expr> masks = {causal() && sliding_window(scalar("window")),
                                   chunked(scalar("n")),
                                   prefix(scalar("window")),
                                   block_local(scalar("n"), scalar("window")),
                                   Expr::parse("q // 16 - k // 16 <= window && k <= q"),
                                   Expr::parse("q // n - k // n <= window && k <= q"),
                                   Expr::parse("q // n - k // n <= 7 && k <= q"),
                                   Expr::parse("k // n <= window"),
                                   Expr::parse("(q - k) // n <= window"),
                                   Expr::parse("k // 64 <= q // 8"),
                                   Expr::parse("k // n == q // 4"),
                                   Expr::parse("abs(q - k) // n <= window")};
  const auto all_fit = [](const Expr& whole, const ExprBlock& block, const ExprNames& names,
                          const NamedValues& values) {
    bool fit = true;
    for_each_node(whole, [&](const Expr& part) {
      if (part.type() != ExprType::integer) return;
      for (const std::int64_t value : all_values<std::int64_t>(part, block, names, values))
        fit = fit && INT32_MIN <= value && value <= INT32_MAX;
    });
    return fit;
  };
  const int sizes[] = {1, 3, 1 << 10, 1 << 20, (1 << 30) - 1, 1 << 30};
  for (const Expr& mask : masks) {
    const KeyRanges ranges(mask);
    const ExprNames names{mask};
    for (const int window : sizes)
      for (const int n : sizes)
        for (const std::int64_t q_first : {-500000000, -3, 2, 100, 500000000}) {
          std::mt19937_64 random(n);
          RandomValues values(random);
          values.window = window, values.n = n;
          ExprBlock block = ExprBlock::random(random, 40);
          block.at.q_end += q_first - block.at.q_first;
          block.at.q_first = q_first;
          block.at.k_first = q_first / 2, block.at.k_end = q_first / 2 + 40;
          const NamedValues named = values.in_order_of(names);
          if (!all_fit(mask, block, names, named)) continue;
          INFO(mask.text() << ", " << place_of(block, values));
          CHECK(fault_of(ranges, mask, block, names, named).empty());
          for (const std::vector<KeyRange>& list : {ranges.seen, ranges.full})
            for (const KeyRange& range : list)
              CHECK((all_fit(range.begin, block, names, named) &&
                     all_fit(range.end, block, names, named)));
        }
  }
}

// ---- Bounds

namespace {

struct Extremes {
  std::int64_t low, high;
};

Extremes extremes(const std::vector<std::int64_t>& values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return {*low, *high};
}

/// Knows the elements of a block.
ElementBounds elements_of(const ExprBlock& block, const ExprNames& names,
                          const NamedValues& values) {
  return [&](const Expr& element) -> Bounds {
    const auto [low, high] = extremes(all_values<std::int64_t>(element, block, names, values));
    return {Expr(low), Expr(high)};
  };
}

/// What makes the bounds of the parts of a mask wrong; empty where nothing does.
std::string fault_of_bounds(const Expr& mask, const ExprBlock& block, const ExprNames& names,
                            const NamedValues& values, const ElementBounds& elements) {
  std::string fault;
  for_each_node(mask, [&](const Expr& part) {
    if (part.type() == ExprType::integer) {
      const Extremes found = extremes(all_values<std::int64_t>(part, block, names, values));
      const Bounds b = bounds(part, elements);
      if (b.low && integer_at(*b.low, block.at, names, values) > found.low)
        fault = part.text() + " falls below its bound";
      if (b.high && integer_at(*b.high, block.at, names, values) < found.high)
        fault = part.text() + " exceeds its bound";
    } else if (part.type() == ExprType::boolean) {
      const auto holds = all_values<std::uint8_t>(part, block, names, values);
      const Certainty c = certainty(part, elements);
      const bool some = std::ranges::any_of(holds, [](auto h) { return h != 0; });
      const bool all = std::ranges::all_of(holds, [](auto h) { return h != 0; });
      if (some && !holds_at(c.can_hold, block.at, names, values))
        fault = part.text() + " holds, and surely does not";
      if (!all && holds_at(c.must_hold, block.at, names, values))
        fault = part.text() + " does not hold, and surely does";
    }
  });
  return fault;
}

}  // namespace

TEST_CASE("random expressions lie within their bounds, conditions hold where they surely do") {
  for_random_masks(10000, [&](const Expr& mask, std::mt19937_64& random) {
    const ExprNames names{mask};
    const RandomValues values(random);
    const NamedValues named = values.in_order_of(names);
    const ExprBlock block = ExprBlock::random(random, 7);
    std::string fault = fault_of_bounds(mask, block, names, named, {});
    if (fault.empty())
      fault = fault_of_bounds(mask, block, names, named, elements_of(block, names, named));
    if (!fault.empty()) FAIL_CHECK(mask.text() << ": " << fault << ", " << place_of(block, values));
  });
}

TEST_CASE("conditions on positions and documents are as certain as can be") {
  const std::vector<Expr> masks = {causal(),
                                   document(),
                                   chunked(8),
                                   padding(),
                                   sinks(5),
                                   Expr::parse("k % 4 == 0"),
                                   Expr::parse("q // n <= k // n"),
                                   Expr::parse("doc[batch, q] <= doc[batch, k] + 1")};
  for (const Expr& mask : masks) {
    const ExprNames names{mask};
    for (int seed = 0; seed < 500; seed++) {
      std::mt19937_64 random(seed);
      const RandomValues values(random);
      const NamedValues named = values.in_order_of(names);
      const ExprBlock block = ExprBlock::random(random, seed % 2 == 0 ? 1 : 6);
      const auto holds = all_values<std::uint8_t>(mask, block, names, named);
      const Certainty c = certainty(mask, elements_of(block, names, named));
      const bool is_one_pair = block.queries() * block.keys() == 1;
      INFO(mask.text() << ", " << place_of(block, values));
      if (is_one_pair || mask.same_as(causal()) || mask.same_as(padding())) {
        REQUIRE(holds_at(c.can_hold, block.at, names, named) ==
                std::ranges::any_of(holds, [](auto h) { return h != 0; }));
        REQUIRE(holds_at(c.must_hold, block.at, names, named) ==
                std::ranges::all_of(holds, [](auto h) { return h != 0; }));
      }
    }
  }
}

}  // namespace streamattn

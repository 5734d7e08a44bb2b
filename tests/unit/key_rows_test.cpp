// Which keys the rows of a tile see, against the mask itself.
#include "compiler/operations/forward/key_rows.h"

#include <random>

#include "tests/support/catch.h"

namespace streamattn {
namespace {

std::vector<Rows> listed(const RowSet& set) { return {set.begin(), set.end()}; }

bool is_in(const RowSet& set, std::int64_t row) { return set.contains({row, row + 1}); }

TEST_CASE("sets of rows are what their elements say") {
  std::mt19937 random(3);
  const auto number = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  const auto random_set = [&](std::vector<bool>& elements) {
    RowSet set;
    elements.assign(40, false);
    for (int i = number(0, 5); i > 0; i--) {
      const int begin = number(0, 39), end = number(begin, std::min(begin + 12, 40));
      set.add({begin, end});
      std::fill(elements.begin() + begin, elements.begin() + end, true);
    }
    return set;
  };
  for (int trial = 0; trial < 500; trial++) {
    std::vector<bool> in_a, in_b;
    const RowSet a = random_set(in_a), b = random_set(in_b);
    RowSet either = a, both = a;
    either.add(b);
    both.keep(b);
    const RowSet only_a = a.without(b);
    const Rows part = {number(0, 20), number(20, 40)};
    std::int64_t count = 0, first = part.end, end = part.begin, run = 0, longest = 0;
    bool has_all = true;
    for (int i = 0; i < 40; i++) {
      CHECK(is_in(a, i) == in_a[i]);
      CHECK(is_in(either, i) == (in_a[i] || in_b[i]));
      CHECK(is_in(both, i) == (in_a[i] && in_b[i]));
      CHECK(is_in(only_a, i) == (in_a[i] && !in_b[i]));
      count += in_a[i] ? 1 : 0;
      if (i < part.begin || i >= part.end) continue;
      has_all = has_all && in_a[i];
      run = in_a[i] ? run + 1 : 0;
      longest = std::max(longest, run);
      if (in_a[i]) first = std::min<std::int64_t>(first, i), end = i + 1;
    }
    CHECK(a.count() == count);
    CHECK(a.contains(part) == has_all);
    const Rows hull = a.hull_in(part), most = a.longest_in(part);
    CHECK(most.end - most.begin == longest);
    CHECK(a.contains(most));
    CHECK(is_empty(hull) == (first >= end));
    if (!is_empty(hull)) CHECK((hull.begin == first && hull.end == end));
    for (const RowSet* set : std::initializer_list<const RowSet*>{&a, &either, &both, &only_a}) {
      std::int64_t behind = -2;
      for (const Rows& range : *set) {
        CHECK((range.begin > behind && range.begin < range.end));
        behind = range.end;
      }
    }
  }
}

TEST_CASE("key rows agree with every pair of positions") {
  const std::int64_t q_position = GENERATE(-3, 0, 12);
  const std::int64_t k_position = GENERATE(-2, 0, 9);
  struct Case {
    const char* mask;
    bool is_exact;         // of each query
    bool is_exact_of_all;  // of neighbours as well
  };
  const Case cases[] = {{"true", true, true},
                        {"false", true, true},
                        {"k <= q", true, true},
                        {"k <= q && k > q - window", true, true},
                        {"k <= q && (k < 3 || k > q - 2)", true, true},
                        {"q // 4 == k // 4", true, true},
                        {"abs(q - k) <= 2 || k < 1", true, true},
                        {"k < limit[batch, head]", true, true},
                        {"k < reach[q]", true, false},
                        {"k <= q && (q - k) % 3 == 0", false, false},
                        {"k <= q && kind[k] == 1", false, false}};
  for (const Case& given : cases) {
    const Expr mask = Expr::parse(given.mask);
    INFO(mask.text());
    const ExprNames names({mask});
    ForwardCall call{.q = {.batch = 2, .seq = 8, .heads = 2},
                     .k = {.batch = 2, .seq = 10, .heads = 2},
                     .q_position = q_position,
                     .k_position = k_position};
    const std::int32_t limits[] = {3, 12, 0, 7};
    const std::int32_t numbers[32] = {1, 5, 1, 0, 2, 1, 9, 8, 4, 1, 1, 6, 13, 0, 1, 1, 2, 1, 17, 3};
    call.named.scalars[0] = 4;
    if (!names.tensors.empty()) {
      const bool is_table = names.tensors[0].rank == 2;
      call.named.tensors[0].data = is_table ? limits : numbers;
      if (is_table) {
        for (int i = 0; i < 2; i++) call.named.tensors[0].sizes[i] = 2;
        call.named.tensors[0].strides[0] = 2, call.named.tensors[0].strides[1] = 1;
      } else {
        call.named.tensors[0].sizes[0] = 32, call.named.tensors[0].strides[0] = 1;
      }
    }
    const auto sees = [&](std::int64_t batch, std::int64_t head, std::int64_t q, std::int64_t k) {
      ExprPoint point = point_of(call, {batch, head, q});
      point.k = k_position + k;
      return holds_at(mask, point, names, call.named);
    };
    const MaskRanges ranges(mask, names);
    KeyRowEvaluator evaluator(ranges, call);
    for (int batch = 0; batch < 2; batch++) {
      for (int head = 0; head < 2; head++) {
        for (int first = 0; first < 8; first++) {
          for (int end = first + 1; end <= 8; end++) {
            const KeyRows keys = evaluator.of(batch, head, {first, end});
            for (int k = 0; k < 10; k++) {
              bool some = false, all = true;
              for (int q = first; q < end; q++)
                (sees(batch, head, q, k) ? some : all) = sees(batch, head, q, k);
              if (some) CHECK(is_in(keys.seen, k));
              if (is_in(keys.full, k)) CHECK(all);
              if (given.is_exact_of_all) {
                CHECK(is_in(keys.seen, k) == some);
                CHECK(is_in(keys.full, k) == all);
              }
            }
          }
        }
        std::int64_t next = 2;
        evaluator.of_each(batch, head, {2, 8}, [&](std::int64_t q, const KeyRows& keys) {
          CHECK(q == next++);
          for (int k = 0; k < 10; k++) {
            if (sees(batch, head, q, k)) CHECK(is_in(keys.seen, k));
            if (is_in(keys.full, k)) CHECK(sees(batch, head, q, k));
          }
          if (given.is_exact) CHECK(keys.open().empty());
        });
        CHECK(next == 8);
      }
    }
    CHECK(is_exact(key_ranges_of_query(mask)) == given.is_exact);
  }
}

TEST_CASE("the rows of many queries come in order, each with its own keys") {
  const Expr mask = Expr::parse("k <= q && k > q - 100");
  const MaskRanges ranges(mask, ExprNames({mask}));
  const ForwardCall call{.q = {.seq = 1000, .heads = 1}, .k = {.seq = 1000, .heads = 1}};
  KeyRowEvaluator evaluator(ranges, call);
  std::int64_t next = 0, keys_in_all = 0;
  evaluator.of_each(0, 0, {0, 1000}, [&](std::int64_t q, const KeyRows& keys) {
    CHECK(q == next++);
    CHECK(listed(keys.seen).size() == 1);
    keys_in_all += keys.full.count();
  });
  CHECK(keys_in_all == 1000 * 100 - 99 * 50);
}

}  // namespace
}  // namespace streamattn

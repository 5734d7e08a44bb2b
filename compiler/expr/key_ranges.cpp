// Solves masks for the key.
#include "compiler/expr/key_ranges.h"

#include <algorithm>
#include <optional>

#include "compiler/expr/bounds.h"
#include "compiler/expr/build.h"
#include "compiler/expr/refuse.h"

namespace streamattn {
namespace {

using Ranges = std::vector<KeyRange>;

/// Both answers for a part of the mask.
struct Answers {
  Ranges seen, full;
};

const Expr& first_key() {
  static const auto* key = new Expr(-key_limit);
  return *key;
}
const Expr& last_key() {
  static const auto* key = new Expr(key_limit);
  return *key;
}

Ranges all_keys() { return {{first_key(), last_key()}}; }

Answers unknown() { return {all_keys(), {}}; }

bool uses_key(const Expr& expr) { return expr.node().uses_variable(Variable::k); }

/// Whether a <= b whatever the variables are, as far as can be told.
bool is_at_most(const Expr& a, const Expr& b) {
  if (a.same_as(b) || a.same_as(first_key()) || b.same_as(last_key())) return true;
  if (const auto difference = constant_difference(a, b)) return *difference <= 0;
  const auto any = [](const Expr& of, ExprOp op, const auto& test) {
    return of.node().op == op && std::ranges::any_of(of.node().operands, test);
  };
  return any(a, ExprOp::minimum, [&](const Expr& x) { return is_at_most(x, b); }) ||
         any(b, ExprOp::maximum, [&](const Expr& x) { return is_at_most(a, x); });
}

Expr lower(const Expr& a, const Expr& b) {
  return is_at_most(a, b) ? a : is_at_most(b, a) ? b : min(a, b);
}
Expr upper(const Expr& a, const Expr& b) {
  return is_at_most(a, b) ? b : is_at_most(b, a) ? a : max(a, b);
}

Ranges intersected(const Ranges& a, const Ranges& b) {
  Ranges both;
  for (const KeyRange& x : a) {
    for (const KeyRange& y : b) {
      KeyRange range{upper(x.begin, y.begin), lower(x.end, y.end)};
      if (!is_at_most(range.end, range.begin)) both.push_back(std::move(range));
    }
  }
  return both;
}

/// One range that is the union of both, where they surely touch.
std::optional<KeyRange> merged(const KeyRange& a, const KeyRange& b) {
  const bool touch = a.begin.same_as(b.begin) || a.end.same_as(b.end) ||
                     (is_at_most(a.begin, b.begin) && is_at_most(b.begin, a.end)) ||
                     (is_at_most(b.begin, a.begin) && is_at_most(a.begin, b.end));
  if (!touch) return {};
  return KeyRange{lower(a.begin, b.begin), upper(a.end, b.end)};
}

// Of ranges that may be empty only those merge whose union holds no key that neither has: with the
// same begin or end, or with one inside the other.
Ranges united(Ranges list, const Ranges& more) {
  for (KeyRange added : more) {
    for (auto known = list.begin(); known != list.end();) {
      if (const auto both = merged(*known, added)) {
        added = *both;
        known = list.erase(known);
      } else {
        ++known;
      }
    }
    list.push_back(added);
  }
  return list;
}

/// The smallest range around all.
Ranges hull(const Ranges& ranges) {
  KeyRange around = ranges.front();
  for (const KeyRange& range : ranges)
    around = {lower(around.begin, range.begin), upper(around.end, range.end)};
  return {around};
}

/// No more ranges than there may be: too much is seen, too little full.
Answers limited(Answers answers) {
  if (answers.seen.size() > KeyRanges::most) answers.seen = hull(answers.seen);
  if (answers.full.size() > KeyRanges::most) answers.full.resize(KeyRanges::most);
  return answers;
}

Answers both(const Answers& a, const Answers& b) {
  return limited({intersected(a.seen, b.seen), intersected(a.full, b.full)});
}
Answers either(const Answers& a, const Answers& b) {
  return limited({united(a.seen, b.seen), united(a.full, b.full)});
}

Answers at_most_zero_answers(const Expr& integer);

/// An end of a range as it can be computed in 32 bits.
Expr near(const Expr& key) {
  return Linear(key).terms.size() == 1 && has_large_element(key) ? with_near_element(key) : key;
}

/// The limit of quotients of `dividend` such that it times `divisor` fits 32 bits; nothing where no
/// such limit is known. Beyond all positions it is `least` or `most` quotients behind the last one.
std::optional<Expr> multipliable(const Expr& limit, const Expr& dividend, const Expr& divisor,
                                 int least, int most) {
  const Linear of_limit(limit), of_dividend(dividend);
  const auto is_quotient = [&](const auto& term) {
    const ExprNode& node = term.first.node();
    return node.op == ExprOp::floor_divide && node.operands[1].same_as(divisor) && term.second == 1;
  };
  if (of_limit.terms.empty() ? constant_of(divisor).has_value()
                             : of_limit.terms.size() == 1 && std::abs(of_limit.constant) <= 1 &&
                                   is_quotient(of_limit.terms.front()))
    return limit;
  const auto& [term, factor] = of_dividend.terms.front();
  if (of_dividend.terms.size() > 1 || std::abs(factor) != 1 || term.node().op != ExprOp::variable ||
      std::abs(of_dividend.constant) > key_limit / 4)
    return {};
  const Expr last = integer_quotient(key_limit - 1, divisor);
  return min(max(limit, -last - 1 - least), last + most);
}

/// Where `term`, which depends on the key, is at most `limit`, which does not.
Answers at_most(const Expr& term, const Expr& limit) {
  const ExprNode& node = term.node();
  const auto& x = node.operands;
  const auto below = [&](const Expr& part) { return at_most_zero_answers(part - limit); };
  switch (node.op) {
    case ExprOp::variable: {
      const Bounds end = bounds(near(limit + 1));
      Answers answers = unknown();
      if (end.high) answers.seen = {{first_key(), lower(*end.high, last_key())}};
      if (end.low) answers.full = {{first_key(), lower(*end.low, last_key())}};
      return answers;
    }
    case ExprOp::floor_divide: {  // x // n <= limit where x < n * (limit + 1)
      const auto most = multipliable(limit, x[0], x[1], 1, 0);
      return most ? at_most_zero_answers(x[0] + 1 - x[1] * (*most + 1)) : unknown();
    }
    case ExprOp::minimum:
      return either(below(x[0]), below(x[1]));
    case ExprOp::maximum:
      return both(below(x[0]), below(x[1]));
    case ExprOp::absolute:
      return both(below(x[0]), below(-x[0]));
    default:
      return unknown();
  }
}

/// Where it is at least `limit`.
Answers at_least(const Expr& term, const Expr& limit) {
  const ExprNode& node = term.node();
  const auto& x = node.operands;
  const auto above = [&](const Expr& part) { return at_most_zero_answers(limit - part); };
  switch (node.op) {
    case ExprOp::variable: {
      const Bounds begin = bounds(near(limit));
      Answers answers = unknown();
      if (begin.low) answers.seen = {{upper(*begin.low, first_key()), last_key()}};
      if (begin.high) answers.full = {{upper(*begin.high, first_key()), last_key()}};
      return answers;
    }
    case ExprOp::floor_divide: {  // x // n >= limit where x >= n * limit
      const auto least = multipliable(limit, x[0], x[1], 0, 1);
      return least ? at_most_zero_answers(x[1] * *least - x[0]) : unknown();
    }
    case ExprOp::minimum:
      return both(above(x[0]), above(x[1]));
    case ExprOp::maximum:
      return either(above(x[0]), above(x[1]));
    case ExprOp::absolute:
      return either(above(x[0]), above(-x[0]));
    default:
      return unknown();
  }
}

Answers answers_of(const Expr& mask);

/// Where integer <= 0: solved for the one term that depends on the key.
Answers at_most_zero_answers(const Expr& integer) {
  Linear rest(integer);
  std::optional<std::pair<Expr, std::int64_t>> key_term;
  for (const auto& term : rest.terms) {
    if (!uses_key(term.first)) continue;
    if (key_term) return unknown();
    key_term = term;
  }
  if (!key_term) return answers_of(at_most_zero(integer));
  std::erase_if(rest.terms, [](const auto& term) { return uses_key(term.first); });
  const auto& [term, factor] = *key_term;
  if (const ExprNode& node = term.node(); node.op == ExprOp::select) {
    const auto with = [&](const Expr& chosen) {
      return at_most_zero_answers(chosen * factor + rest.expr());
    };
    const auto& x = node.operands;
    return either(both(answers_of(x[0]), with(x[1])), both(answers_of(negated(x[0])), with(x[2])));
  }
  const Expr most = integer_quotient(-rest.expr(), std::abs(factor));
  return factor > 0 ? at_most(term, most) : at_least(term, -most);
}

Answers solved(const Expr& mask) {
  const ExprNode& node = mask.node();
  const auto& x = node.operands;
  if (!uses_key(mask)) {  // all keys or none
    const Certainty c = certainty(mask);
    const auto keys_where = [](const Expr& condition) -> Ranges {
      if (const auto value = constant_of(condition)) return *value != 0 ? all_keys() : Ranges{};
      return {{first_key(), select(condition, last_key(), first_key())}};
    };
    return {keys_where(c.can_hold), keys_where(c.must_hold)};
  }
  switch (node.op) {
    case ExprOp::at_most_zero:
      return at_most_zero_answers(x[0]);
    case ExprOp::is_zero:
      return both(at_most_zero_answers(x[0]), at_most_zero_answers(-x[0]));
    case ExprOp::is_not_zero:
      return {all_keys(),
              either(at_most_zero_answers(x[0] + 1), at_most_zero_answers(1 - x[0])).full};
    case ExprOp::logical_and:
    case ExprOp::logical_or: {
      Answers all = answers_of(x[0]);
      for (std::size_t i = 1; i < x.size(); i++)
        all = node.op == ExprOp::logical_and ? both(all, answers_of(x[i]))
                                             : either(all, answers_of(x[i]));
      return all;
    }
    default:
      return unknown();
  }
}

// What cannot be written down is not known.
Answers answers_of(const Expr& mask) {
  return unless_refused([&] { return solved(mask); }).value_or(unknown());
}

}  // namespace

KeyRanges::KeyRanges(const Expr& mask) {
  Answers answers = answers_of(mask);
  seen = std::move(answers.seen);
  full = std::move(answers.full);
  // By insertion: what is surely not in front of another stays where it is.
  for (std::size_t i = 1; i < seen.size(); i++)
    for (std::size_t j = i; j > 0 && is_at_most(seen[j - 1].end, seen[j].end); j--)
      std::swap(seen[j - 1], seen[j]);
  for (std::size_t i = 1; i < seen.size(); i++)
    ends_descend = ends_descend && is_at_most(seen[i].end, seen[i - 1].end);
}

KeyRanges key_ranges_of_query(const Expr& mask) {
  return KeyRanges(substitute(mask, {{Variable::q, variable(Variable::q_first)}}));
}

bool is_exact(const KeyRanges& ranges) {
  return std::ranges::is_permutation(ranges.seen, ranges.full,
                                     [](const KeyRange& a, const KeyRange& b) {
                                       return a.begin.same_as(b.begin) && a.end.same_as(b.end);
                                     });
}

}  // namespace streamattn

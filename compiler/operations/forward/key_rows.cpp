// Evaluates closed forms of masks for calls.
#include "compiler/operations/forward/key_rows.h"

#include "compiler/expr/build.h"

namespace streamattn {
namespace {

FlatKeyRanges flat(const KeyRanges& ranges, const ExprNames& names) {
  const auto end = [&](const Expr& key) -> FlatKeyRanges::End {
    if (const auto constant = constant_of(key)) return {*constant, std::nullopt};
    return {0, FlatExpr(key, names)};
  };
  const auto list = [&](const std::vector<KeyRange>& from) {
    std::vector<FlatKeyRanges::Range> to;
    for (const KeyRange& range : from) to.push_back({end(range.begin), end(range.end)});
    return to;
  };
  return {list(ranges.seen), list(ranges.full)};
}

/// The ranges of the query q_first, as expressions of k in its place.
KeyRanges along_queries(const Expr& mask) {
  KeyRanges ranges = key_ranges_of_query(mask);
  for (std::vector<KeyRange>* list : {&ranges.seen, &ranges.full})
    for (KeyRange& range : *list)
      for (Expr* end : {&range.begin, &range.end})
        *end = substitute(*end, {{Variable::q_first, variable(Variable::k)}});
  return ranges;
}

}  // namespace

MaskRanges::MaskRanges(const Expr& mask, const ExprNames& names)
    : of_block(flat(KeyRanges(mask), names)), of_query(flat(along_queries(mask), names)) {}

KeyRowEvaluator::KeyRowEvaluator(const MaskRanges& ranges, const ForwardCall& call)
    : ranges_(ranges), call_(call), of_block_(prepared(ranges.of_block)) {}

KeyRowEvaluator::Ranges KeyRowEvaluator::prepared(const FlatKeyRanges& ranges) const {
  const auto end = [&](const FlatKeyRanges::End& from) {
    End to{.end = &from, .evaluator = {}, .values = {}};
    if (from.expr) to.evaluator.emplace(*from.expr, call_.named);
    return to;
  };
  const auto list = [&](const std::vector<FlatKeyRanges::Range>& from) {
    std::vector<Range> to;
    to.reserve(from.size());
    for (const FlatKeyRanges::Range& range : from) to.push_back({end(range.begin), end(range.end)});
    return to;
  };
  return {list(ranges.seen), list(ranges.full)};
}

void KeyRowEvaluator::End::evaluate(const ExprPoint& point, std::int64_t count) {
  if (!evaluator) return;
  values.resize(count);
  evaluator->start(point);
  evaluator->evaluate(point.k, count, values.data());
}

void KeyRowEvaluator::evaluate(Ranges& ranges, const ExprPoint& point, std::int64_t count) const {
  for (std::vector<Range>* list : {&ranges.seen, &ranges.full}) {
    for (Range& range : *list) {
      range.begin.evaluate(point, count);
      range.end.evaluate(point, count);
    }
  }
}

RowSet KeyRowEvaluator::rows(const std::vector<Range>& ranges, std::int64_t query) const {
  RowSet rows;
  for (const Range& range : ranges)
    rows.add(overlap(
        {range.begin.key(query) - call_.k_position, range.end.key(query) - call_.k_position},
        {0, call_.kv_len()}));
  return rows;
}

KeyRows KeyRowEvaluator::of(std::int64_t batch, std::int64_t head, Rows q) {
  ExprPoint point = point_of(call_, {batch, head, q.begin});
  point.q_first = point.q;
  point.q_end = call_.q_position + q.end;
  evaluate(of_block_, point, 1);
  return {rows(of_block_.seen, 0), rows(of_block_.full, 0)};
}

void KeyRowEvaluator::of_each(std::int64_t batch, std::int64_t head, Rows q,
                              llvm::function_ref<void(std::int64_t, KeyRows&&)> visit) {
  if (!of_query_) of_query_ = prepared(ranges_.of_query);
  for (std::int64_t first = q.begin; first < q.end; first += run_length) {
    const std::int64_t count = std::min(run_length, q.end - first);
    ExprPoint point = point_of(call_, {batch, head, first});
    point.k = point.q;
    evaluate(*of_query_, point, count);
    for (std::int64_t i = 0; i < count; i++)
      visit(first + i, {rows(of_query_->seen, i), rows(of_query_->full, i)});
  }
}

}  // namespace streamattn

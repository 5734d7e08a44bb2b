// Which rows of k the queries of a call see, in closed form.
#pragma once

#include <llvm/ADT/STLFunctionalExtras.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "compiler/expr/evaluate.h"
#include "compiler/expr/key_ranges.h"
#include "compiler/operations/forward/call.h"
#include "compiler/operations/forward/row_set.h"

namespace streamattn {

/// What is known of the keys of some queries of one head.
struct KeyRows {
  RowSet seen;  ///< has every row of call.k that some of the queries see
  RowSet full;  ///< has only rows that all of them see

  /// Those of which the mask must say who sees them.
  RowSet open() const { return seen.without(full); }
};

/// The ends of ranges of keys, ready for evaluation.
struct FlatKeyRanges {
  struct End {
    std::int64_t constant;  ///< where there is no expression
    std::optional<FlatExpr> expr;
  };
  struct Range {
    End begin, end;
  };
  std::vector<Range> seen, full;
};

/// KeyRanges of a mask, made ready once a problem.
struct MaskRanges {
  MaskRanges(const Expr& mask, const ExprNames& names);

  FlatKeyRanges of_block;  ///< of queries [q_first, q_end)
  FlatKeyRanges of_query;  ///< of the query at k: an evaluator's row is one of queries
};

/// Evaluates them for the queries of a call. Not to be shared between threads.
class KeyRowEvaluator {
 public:
  /// Both must outlive it. Named tensors are in host memory.
  KeyRowEvaluator(const MaskRanges& ranges, const ForwardCall& call);

  /// Of queries [q.begin, q.end), rows of call.q, of which there is one at least.
  KeyRows of(std::int64_t batch, std::int64_t head, Rows q);

  /// Calls visit(row, its keys) for each of them, in order. Knows more than of(), and faster.
  void of_each(std::int64_t batch, std::int64_t head, Rows q,
               llvm::function_ref<void(std::int64_t, KeyRows&&)> visit);

 private:
  static constexpr std::int64_t run_length = 128;

  struct End {
    const FlatKeyRanges::End* end;
    std::optional<RowEvaluator<float>> evaluator;
    std::vector<std::int64_t> values;  // keys, of each query

    void evaluate(const ExprPoint& point, std::int64_t count);
    std::int64_t key(std::int64_t query) const { return evaluator ? values[query] : end->constant; }
  };
  struct Range {
    End begin, end;
  };
  struct Ranges {
    std::vector<Range> seen, full;
  };

  Ranges prepared(const FlatKeyRanges& ranges) const;
  void evaluate(Ranges& ranges, const ExprPoint& point, std::int64_t count) const;
  RowSet rows(const std::vector<Range>& ranges, std::int64_t query) const;

  const MaskRanges& ranges_;
  const ForwardCall& call_;
  Ranges of_block_;
  std::optional<Ranges> of_query_;  // made where it is first asked for
};

}  // namespace streamattn

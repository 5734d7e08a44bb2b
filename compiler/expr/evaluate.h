// Evaluates expressions on the host: along a row of scores, or at a point.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "compiler/expr/flat_expr.h"
#include "templates/params.h"

namespace streamattn {

/// Values of variables.
struct ExprPoint {
  std::int64_t q = 0, k = 0;  ///< global positions
  std::int64_t batch = 0, head = 0, kv_head = 0;
  std::int64_t q_len = 0, kv_len = 0;  ///< rows of the whole tensors
  double score = 0;
  std::int64_t q_first = 0, q_end = 0, k_first = 0, k_end = 0;
};

/// Evaluates an expression for keys of a row. Integers have 64 bits inside, and wrap; reals are of
/// type Real: float or double. Not to be shared between threads.
template <class Real>
class RowEvaluator {
 public:
  /// `expr` must outlive it; `values` are those of the names, their tensors in host memory.
  RowEvaluator(const FlatExpr& expr, const NamedValues& values);

  /// Begins a row. Of `row`, `k` and `score` do not count.
  void start(const ExprPoint& row);

  /// Of a boolean expression: to[i] is 1 where it holds for the key at position k + i, else 0.
  void evaluate(std::int64_t k, std::int64_t count, std::uint8_t* to);

  /// Of a real expression: to[i] is its value for the key at position k + i, of the score
  /// scores[i]. `scores` may be null where it depends on none, and may be `to`.
  void evaluate(std::int64_t k, std::int64_t count, const Real* scores, Real* to);

  /// Of an integer expression.
  void evaluate(std::int64_t k, std::int64_t count, std::int64_t* to);

 private:
  using Operation = FlatExpr::Operation;

  static constexpr int run_length = 128;  // keys at a time: their values stay in the first cache

  std::int64_t* integers(int operation) { return integers_.data() + at(operation); }
  std::uint8_t* booleans(int operation) { return booleans_.data() + at(operation); }
  Real* reals(int operation) { return reals_.data() + at(operation); }
  std::size_t at(int operation) const;

  void run(int index, int count);
  void run_integer(int index, int count);
  void run_sum(int index, int count);
  void run_boolean(int index, int count);
  void run_logical(int index, int count);
  void run_real(int index, int count);
  void run_element(int index, int count);
  void spread(int index);
  template <class Value>
  void evaluate_to(std::int64_t k, std::int64_t count, const Real* scores, Value* to);

  const FlatExpr& expr_;
  NamedValues values_;
  ExprPoint point_;
  const Real* scores_ = nullptr;  // of the keys at hand
  std::vector<std::int64_t> integers_;
  std::vector<std::uint8_t> booleans_;
  std::vector<Real> reals_;
};

/// The value of a boolean, an integer or a real expression at a point.
bool holds_at(const Expr& condition, const ExprPoint& point);
std::int64_t integer_at(const Expr& expr, const ExprPoint& point);
double real_at(const Expr& expr, const ExprPoint& point);

/// The same of expressions that name scalars and tensors.
bool holds_at(const Expr& condition, const ExprPoint& point, const ExprNames& names,
              const NamedValues& values);
std::int64_t integer_at(const Expr& expr, const ExprPoint& point, const ExprNames& names,
                        const NamedValues& values);
double real_at(const Expr& expr, const ExprPoint& point, const ExprNames& names,
               const NamedValues& values);

}  // namespace streamattn

// Reads any bytes as a mask and as a score: what is read has a text that is read as the same,
// values, keys that it shows and device code, and a score has a derivative. An entry for libFuzzer;
// expr_fuzz_main.cpp runs it without.
#include <bit>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "compiler/expr/build.h"
#include "compiler/expr/derivative.h"
#include "compiler/expr/evaluate.h"
#include "compiler/expr/key_ranges.h"
#include "compiler/expr/score_policy.h"
#include "streamattn/error.h"
#include "tests/fuzz/fuzz_loop.h"

using namespace streamattn;

namespace {

void check_same(const Expr& expr, ExprRole role, const char* what) {
  const std::string text = expr.text();
  try {
    const Expr again = Expr::parse(text, role);
    if (!again.same_as(expr)) report_fault(what, text + "\n  is read as: " + again.text());
  } catch (const Error& error) {
    report_fault(what, error.what());
  }
}

constexpr std::int64_t positions[] = {0, 7, -3, (1 << 30) - 200, -(1 << 30)};

/// Something for every name: integers that may divide, and tensors of three in every dimension.
struct Values {
  std::vector<std::uint32_t> memory = std::vector<std::uint32_t>(81, 0x3F80C0A1);
  NamedValues named = {};

  explicit Values(const ExprNames& names) {
    for (std::size_t i = 0; i < names.scalars.size(); i++)
      named.scalars[i] = names.scalars[i].dtype == DType::f32 ? std::bit_cast<int>(-2.5F)
                                                              : 1 + static_cast<int>(i);
    for (std::size_t i = 0; i < names.tensors.size(); i++)
      named.tensors[i] = {memory.data(), {27, 9, 3, 1}, {3, 3, 3, 3}};
  }
};

template <class Value, class Evaluator, class... Scores>
void check_runs(Evaluator& row, std::int64_t k, const Expr& expr, const Scores*... scores) {
  constexpr int count = 140;  // more than the evaluator takes at a time
  Value together[count], alone[count];
  row.evaluate(k, count, scores..., together);
  for (int i = 0; i < count; i++) row.evaluate(k + i, 1, scores + i..., alone + i);
  for (int i = 0; i < count; i++)
    if (together[i] != alone[i] && !(std::isnan(together[i]) && std::isnan(alone[i])))
      report_fault("a key has another value beside others", expr.text());
}

/// A key's value does not depend on those that are evaluated with it.
template <class Real>
void check_values(const Expr& expr, const ExprNames& names) {
  const FlatExpr flat(expr, names);
  const Values values(names);
  RowEvaluator<Real> row(flat, values.named);
  Real scores[140];
  for (int i = 0; i < 140; i++) scores[i] = static_cast<Real>(i) / 4 - 10;
  for (const std::int64_t q : positions) {
    row.start({.q = q, .batch = 1, .head = 2, .q_len = 5, .kv_len = 300});
    if (expr.type() == ExprType::boolean)
      check_runs<std::uint8_t>(row, q - 70, expr);
    else
      check_runs<Real>(row, q - 70, expr, scores);
  }
}

/// What the compiler makes of a problem for the host and for a device, each of it twice the same.
void check_problem(const Problem& problem) {
  try {
    const ExprNames names(problem);
    for (const Expr& expr : {problem.mask, problem.score}) {
      check_values<float>(expr, names);
      check_values<double>(expr, names);
    }
    (void)KeyRanges(problem.mask);
    (void)key_ranges_of_query(problem.mask);
    if (score_policy(problem) != score_policy(problem))
      report_fault("two policies of one problem", problem.describe());
    (void)transposed_score_policy(problem);
    for (const ExprName& tensor : names.tensors)
      if (tensor.dtype == DType::f32) (void)element_score_policy(problem, tensor.name);
  } catch (const Error& error) {
    check_message(error);
    if (error.code() != ErrorCode::invalid_problem) report_fault("another code", error.what());
  }
}

void check_mask(const Expr& mask) {
  check_problem({.mask = mask});
  check_same(mask, ExprRole::mask, "a mask is read as another");
  try {
    if (!(!!mask).same_as(mask)) report_fault("negated twice", mask.text());
    if (!(mask || !mask).same_as(true)) report_fault("the opposite", mask.text());
    if (!(mask && !mask).same_as(false)) report_fault("the opposite", mask.text());
  } catch (const Error&) {
    // too large
  }
}

void check_score(const Expr& score) {
  check_problem({.score = score});
  check_same(score, ExprRole::score, "a score is read as another");
  std::optional<Expr> by = Expr(expr_names::score);
  for_each_node(score, [&](const Expr& part) {
    if (part.node().op == ExprOp::element && part.type() == ExprType::real) by = part;
  });
  for (const Expr& variable : {Expr(expr_names::score), *by}) {
    try {
      check_same(derivative(score, variable), ExprRole::score, "a derivative is read as another");
    } catch (const Error&) {
      // too large
    }
  }
}

void check(const std::string& text, ExprRole role) {
  try {
    const Expr expr = Expr::parse(text, role);
    if (role == ExprRole::mask)
      check_mask(expr);
    else
      check_score(expr);
  } catch (const Error& error) {
    check_message(error);
    const std::string message = error.what();
    if (error.code() != ErrorCode::invalid_problem) report_fault("another code", message);
    if (message.find('^') == std::string::npos && text.size() < 500000)
      report_fault("a message without a caret", message);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(bytes), size);
  check(text, ExprRole::mask);
  check(text, ExprRole::score);
  return 0;
}

// Draws random expressions.
#include "tests/support/random_expr.h"

#include <algorithm>
#include <utility>

namespace streamattn {
namespace {

using Kind = SyntaxTree::Kind;

SyntaxTree prefix(const char* op, SyntaxTree a) {
  const ExprType type = op[0] == '!' ? ExprType::boolean : a.type;
  return {.kind = Kind::prefix, .type = type, .word = op, .of = {std::move(a)}};
}

SyntaxTree infix(ExprType type, const char* op, SyntaxTree a, SyntaxTree b) {
  return {.kind = Kind::infix, .type = type, .word = op, .of = {std::move(a), std::move(b)}};
}

SyntaxTree function(ExprType type, const char* name, std::vector<SyntaxTree> of) {
  return {.kind = Kind::function, .type = type, .word = name, .of = std::move(of)};
}

SyntaxTree number(ExprType type, double value) {
  return {.kind = Kind::number, .type = type, .number = value};
}

}  // namespace

SyntaxTree RandomExprs::score() {
  in_score_ = true;
  SyntaxTree tree = real(options_.depth);
  in_score_ = false;
  return tree;
}

SyntaxTree RandomExprs::condition(int depth) {
  constexpr const char* comparisons[] = {"<", "<=", ">", ">=", "==", "!="};
  const ExprType type = ExprType::boolean;
  if (depth <= 1 || below(3) == 0) {
    const int choice = below(12);
    const char* op = comparisons[below(6)];
    if (choice == 0 && depth < options_.depth) return number(type, below(2));
    if (choice == 1 && !options_.is_linear)
      return function(type, "bit", {integer(depth - 1), integer(depth - 1)});
    if (choice <= 3 && options_.has_reals) return infix(type, op, real(depth - 1), real(depth - 1));
    return infix(type, op, integer(depth - 1), integer(depth - 1));
  }
  const auto part = [&] {
    if (below(12) == 0 && !options_.is_linear) return integer(depth - 1);
    return condition(depth - 1);
  };
  switch (below(6)) {
    case 0:
      return prefix("!", part());
    case 1:
    case 2:
      return infix(type, "||", part(), part());
    case 3:
      if (!options_.is_linear) return function(type, "select", {part(), condition(1), part()});
      [[fallthrough]];
    default:
      return infix(type, "&&", part(), part());
  }
}

SyntaxTree RandomExprs::integer_number() {
  constexpr std::int64_t huge[] = {2147483647, 2147483646, 65536, 1073741824};
  if (options_.has_huge_numbers && below(20) == 0)
    return number(ExprType::integer, static_cast<double>(huge[below(4)]));
  return number(ExprType::integer, below(4) == 0 ? below(100) : below(9));
}

SyntaxTree RandomExprs::number_or_variable() {
  constexpr Variable variables[] = {
      Variable::q,    Variable::k, Variable::q,       Variable::k,     Variable::batch,
      Variable::head, Variable::k, Variable::kv_head, Variable::q_len, Variable::kv_len};
  constexpr const char* names[] = {"q",    "k", "q",       "k",     "batch",
                                   "head", "k", "kv_head", "q_len", "kv_len"};
  if (below(3) == 0) return integer_number();
  if (options_.has_names && below(4) == 0)
    return {.kind = Kind::named,
            .type = ExprType::integer,
            .word = below(2) == 0 ? "window" : "n",
            .dtype = DType::i32};
  const int which = below(below(2) == 0 ? 2 : 10);
  return {.kind = Kind::variable,
          .type = ExprType::integer,
          .word = names[which],
          .variable = variables[which]};
}

SyntaxTree RandomExprs::element(const char* name, DType dtype, int rank, int depth) {
  SyntaxTree tree{.kind = Kind::named,
                  .type = is_real(dtype) ? ExprType::real : ExprType::integer,
                  .word = name,
                  .dtype = dtype};
  const bool outer = std::exchange(in_index_, true);
  for (int i = 0; i < rank; i++) tree.of.push_back(integer(std::min(depth - 1, 2)));
  in_index_ = outer;
  return tree;
}

SyntaxTree RandomExprs::divisor() {
  if (options_.has_names && below(4) == 0)
    return {.kind = Kind::named, .type = ExprType::integer, .word = "n", .dtype = DType::i32};
  return number(ExprType::integer, 1 + below(below(3) == 0 ? 100 : 8));
}

SyntaxTree RandomExprs::linear() {
  const ExprType type = ExprType::integer;
  SyntaxTree sum = number_or_variable();
  for (int terms = below(3); terms > 0; terms--) {
    SyntaxTree term = number_or_variable();
    if (below(3) == 0) term = infix(type, "*", std::move(term), integer_number());
    sum = infix(type, below(2) == 0 ? "+" : "-", std::move(sum), std::move(term));
  }
  return sum;
}

SyntaxTree RandomExprs::integer(int depth) {
  const ExprType type = ExprType::integer;
  if (options_.is_linear) return linear();
  if (depth <= 0) return number_or_variable();
  const auto part = [&] { return integer(depth - 1); };
  switch (below(14)) {
    case 0:
      return prefix("-", part());
    case 1:
      return infix(type, "*", part(), part());
    case 2:
      return infix(type, "//", part(), divisor());
    case 3:
      return infix(type, "%", part(), divisor());
    case 4: {  // what merges
      const SyntaxTree x = part(), n = divisor();
      return infix(type, "-", x, infix(type, "%", x, n));
    }
    case 5:
      return function(type, below(2) == 0 ? "min" : "max", {part(), part()});
    case 6:
      return function(type, "abs", {part()});
    case 7:
      return function(type, "select", {condition(depth - 1), part(), part()});
    case 8:
      if (!options_.has_names) return part();
      switch (below(3)) {
        case 0:
          return element("doc", DType::i32, 2, depth);
        case 1:
          return element("word", DType::u8, 1, depth);
        default:
          return element("table", DType::i32, 1, depth);
      }
    case 9:
      return infix(type, "*", part(), integer_number());
    case 10:
      return number_or_variable();
    default:
      return infix(type, below(2) == 0 ? "+" : "-", part(), part());
  }
}

SyntaxTree RandomExprs::real_leaf() {
  if (in_score_ && !in_index_ && below(2) == 0)
    return {.kind = Kind::variable,
            .type = ExprType::real,
            .word = "score",
            .variable = Variable::score};
  if (options_.has_names && below(3) == 0)
    return {.kind = Kind::named, .type = ExprType::real, .word = "cap", .dtype = DType::f32};
  return number(ExprType::real, below(4) == 0 ? below(3) : below(64) / 8.0);
}

SyntaxTree RandomExprs::real(int depth) {
  constexpr const char* sums[] = {"+", "-", "*", "/", "+", "-", "*"};
  constexpr const char* unary[] = {"abs", "exp", "log", "tanh", "sqrt", "tanh"};
  const ExprType type = ExprType::real;
  if (depth <= 0) return real_leaf();
  // Integers become reals beside a real, or in a division.
  const auto part = [&] { return below(5) == 0 ? integer(depth - 1) : real(depth - 1); };
  switch (below(10)) {
    case 0:
      return real_leaf();
    case 1:
      if (!options_.has_names) return real_leaf();
      switch (below(3)) {
        case 0:
          return element("bias", DType::f32, 3, depth);
        case 1:
          return element("slope", DType::bf16, 1, depth);
        default:
          return element("factor", DType::f16, 2, depth);
      }
    case 2:
      return prefix("-", real(depth - 1));
    case 3:
      return function(type, unary[below(6)], {real(depth - 1)});
    case 4:
      return function(type, below(2) == 0 ? "min" : "max", {part(), real(depth - 1)});
    case 5:
      return function(type, "select", {condition(depth - 1), real(depth - 1), part()});
    case 6:
      return infix(type, "/", part(), part());
    default:
      return infix(type, sums[below(7)], part(), real(depth - 1));
  }
}

}  // namespace streamattn

// What expressions begin with: constants, variables, scalars, elements of tensors.
#include <llvm/ADT/STLExtras.h>
#include <llvm/ADT/StringExtras.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "compiler/expr/build.h"
#include "compiler/expr/refuse.h"

namespace streamattn {
namespace {

constexpr std::size_t most_indices = 4;
constexpr std::size_t longest_name = 64;  // with the size of expressions it bounds their text

// In the order of the enumerators, which index it.
constexpr std::string_view variables[] = {"q",       "k",     "batch",   "head",
                                          "kv_head", "q_len", "kv_len",  "score",
                                          "q_first", "q_end", "k_first", "k_end"};

// A name of the user's must read as one.
void require_name(std::string_view name) {
  if (name.size() > longest_name)
    refuse("a name has {0} characters, there may be {1}", name.size(), longest_name);
  const bool is_word = !name.empty() && !llvm::isDigit(name.front()) &&
                       llvm::all_of(name, [](char c) { return llvm::isAlnum(c) || c == '_'; });
  if (!is_word)
    refuse("a name is letters, digits and _, and does not begin with a digit, \"{0}\" is none",
           printable(name));
  if (std::ranges::count(variables, name) > 0 || name == "true" || name == "false" ||
      is_function(name))
    refuse("\"{0}\" means something else, choose another name", name);
}

}  // namespace

std::string_view name(ExprType type) {
  constexpr std::string_view names[] = {"boolean", "integer", "real"};
  return names[static_cast<int>(type)];
}

std::string_view name(Variable variable) { return variables[static_cast<int>(variable)]; }

std::optional<Variable> variable_called(std::string_view word) {
  // The internal ones come last and have no text.
  const auto end = std::begin(variables) + static_cast<int>(Variable::q_first);
  const auto found = std::find(std::begin(variables), end, word);
  if (found == end) return {};
  return static_cast<Variable>(found - std::begin(variables));
}

std::string printable(std::string_view text) {
  std::string shown(text);
  for (char& c : shown)
    if (!llvm::isPrint(c)) c = ' ';
  return shown;
}

Expr::Expr(VariableName name) : Expr(variable(name.variable)) {}

Expr Expr::constant(bool value) {
  return intern({.op = ExprOp::constant, .type = ExprType::boolean, .value = value ? 1 : 0});
}

Expr Expr::constant(long long value) { return integer_constant(value); }

Expr Expr::constant(double value) {
  if (!std::isfinite(static_cast<float>(value))) {
    char digits[32];
    refuse("the constant {0} does not fit float32",
           std::string_view(digits, std::to_chars(digits, std::end(digits), value).ptr - digits));
  }
  return real_constant(value);
}

std::optional<std::int64_t> constant_of(const Expr& expr) {
  if (!expr.node().is_constant() || expr.type() == ExprType::real) return {};
  return expr.node().value;
}

Expr real_constant(double value) {
  // + 0: a zero has no sign.
  return intern({.op = ExprOp::constant,
                 .type = ExprType::real,
                 .real = static_cast<double>(static_cast<float>(value) + 0.0F)});
}

Expr to_real(const Expr& integer) {
  if (const auto value = constant_of(integer)) return real_constant(static_cast<double>(*value));
  return intern({.op = ExprOp::to_real, .type = ExprType::real, .operands = {integer}});
}

Expr variable(Variable which) {
  return intern({.op = ExprOp::variable,
                 .type = which == Variable::score ? ExprType::real : ExprType::integer,
                 .variable = which});
}

Expr scalar(std::string_view name, DType dtype) {
  require_name(name);
  if (dtype != DType::i32 && dtype != DType::f32)
    refuse("the scalar \"{0}\" is {1}, needs i32 or f32", name, streamattn::name(dtype));
  return intern({.op = ExprOp::scalar,
                 .type = dtype == DType::i32 ? ExprType::integer : ExprType::real,
                 .dtype = dtype,
                 .name = std::string(name)});
}

Expr TensorName::at(std::vector<Expr> indices) const {
  return element(name_, dtype_, std::move(indices));
}

Expr element(std::string_view name, DType dtype, std::vector<Expr> indices) {
  require_name(name);
  if (indices.empty() || indices.size() > most_indices)
    refuse("the tensor \"{0}\" has {1} indices, needs 1 to {2}", name, indices.size(),
           most_indices);
  for (const Expr& index : indices) {
    require_integer("an index", index);
    if (index.node().uses_variable(Variable::score)) refuse("an index depends on the score");
  }
  return intern({.op = ExprOp::element,
                 .type = is_real(dtype) ? ExprType::real : ExprType::integer,
                 .dtype = dtype,
                 .name = std::string(name),
                 .operands = std::move(indices)});
}

}  // namespace streamattn

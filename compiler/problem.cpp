// Validation, equality and the canonical description of a problem.
#include "streamattn/problem.h"

#include <llvm/ADT/Hashing.h>
#include <llvm/Support/FormatVariadic.h>

#include <utility>

#include "compiler/expr/build.h"
#include "compiler/expr/names.h"
#include "compiler/expr/refuse.h"
#include "compiler/problem_fields.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

// Far above any head there is; keeps products of two dimensions in 32 bits.
constexpr int max_dimension = 1 << 15;

// Far above any tensor there is; keeps a product of a size and a dimension in 64 bits.
constexpr std::int64_t max_size = std::int64_t{1} << 40;

// Of fields. An expression is one with its node.
template <class Value>
Value hash_of(Value value) {
  return value;
}
const void* hash_of(const Expr& value) { return &value.node(); }
const void* hash_of(const std::optional<Expr>& value) { return value ? hash_of(*value) : nullptr; }

void require_type(const char* field, const Expr& expr, ExprType type) {
  if (expr.type() == type) return;
  throw Error(ErrorCode::invalid_problem,
              llvm::formatv("{0} \"{1}\" is {2}, needs a {3} one", field, abbreviated(expr),
                            name(expr.type()), name(type)));
}

// Variables that only a compiler's own expressions have, the key and the score where they have no
// meaning.
void require_known(const char* field, const Expr& expr, std::initializer_list<Variable> unknown) {
  for (const Variable variable : unknown)
    if (expr.node().uses_variable(variable))
      throw Error(ErrorCode::invalid_problem,
                  llvm::formatv("{0} \"{1}\" depends on {2}", field, abbreviated(expr),
                                streamattn::name(variable)));
}

void require_dimension(const char* field, int value) {
  if (value >= 1 && value <= max_dimension) return;
  throw Error(ErrorCode::invalid_problem,
              llvm::formatv("{0} {1} is not in 1..{2}", field, value, max_dimension));
}

}  // namespace

// Makes no expression: launches ask, too.
bool Problem::changes_score() const {
  const ExprNode& node = score.node();
  return node.op != ExprOp::variable || node.variable != Variable::score;
}

void Problem::validate() const {
  require_dimension("head_dim", head_dim);
  require_dimension("value_head_dim", v_head_dim());
  require_dimension("group_size", group_size);
  if (output_dtype() != dtype && output_dtype() != DType::f32) {
    throw Error(
        ErrorCode::invalid_problem,
        llvm::formatv("out_dtype {0} with dtype {1}: the output is of the input's type or f32",
                      name(output_dtype()), name(dtype)));
  }
  if (!is_real(dtype))
    throw Error(ErrorCode::invalid_problem,
                llvm::formatv("dtype {0} is not one of f16, bf16, f32", name(dtype)));
  require_type("mask", mask, ExprType::boolean);
  require_known("mask", mask, {Variable::score});
  require_type("score", score, ExprType::real);
  if (sink) {
    require_type("sink", *sink, ExprType::real);
    require_known("sink", *sink, {Variable::score, Variable::k});
  }
  if (q_layout == SequenceLayout::paged)
    throw Error(ErrorCode::invalid_problem, "q_layout paged: only keys lie in pages");
  ExprNames names(*this);  // which checks them
}

void Shape::validate() const {
  const std::pair<const char*, std::int64_t> sizes[] = {
      {"batch", batch}, {"kv_heads", kv_heads}, {"q_len", q_len}, {"kv_len", kv_len}};
  for (const auto& [field, size] : sizes)
    if (size < 0 || size > max_size)
      throw Error(ErrorCode::invalid_argument,
                  llvm::formatv("shape: {0} is {1}, needs 0 to 2^40", field, size));
}

std::string Problem::describe() const {
  std::string value_dim;
  if (v_head_dim() != head_dim) value_dim = llvm::formatv(", value_head_dim {0}", v_head_dim());
  std::string text =
      llvm::formatv("{0} -> {1}, head_dim {2}{3}, group {4}; mask: {5}", name(dtype),
                    name(output_dtype()), head_dim, value_dim, group_size, mask.text());
  if (changes_score()) text += "; score: " + score.text();
  if (sink) text += "; sink: " + sink->text();
  if (q_layout != SequenceLayout::dense) text += llvm::formatv("; q {0}", name(q_layout));
  if (kv_layout != SequenceLayout::dense) text += llvm::formatv("; kv {0}", name(kv_layout));
  if (q_lens) text += "; q_lens";
  if (has_kv_lens()) text += "; kv_lens";
  if (dropout) text += "; dropout";
  return text;
}

bool operator==(const Problem& a, const Problem& b) {
  bool equal = true;
  for_each_problem_field(
      [&](const auto& field) { equal = equal && same(field.value(a), field.value(b)); });
  return equal;
}

std::size_t hash(const Problem& problem) {
  return std::apply(
      [&](const auto&... field) { return llvm::hash_combine(hash_of(field.value(problem))...); },
      problem_fields);
}

}  // namespace streamattn

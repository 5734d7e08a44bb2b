// Writes integers and conditions as CUDA, and collects members.
#include "compiler/expr/cuda_text.h"

#include <llvm/Support/FormatVariadic.h>
#include <llvm/Support/MathExtras.h>

#include <algorithm>

namespace streamattn {
namespace {

// The name of no tensor: a dot is in it.
constexpr std::string_view tile_bounds[] = {"rows.low", "rows.high", "keys.low", "keys.high"};

/// "rows[0].low" for what tile_bound() makes; empty for another element.
std::string tile_bound_text(const ExprNode& node) {
  if (std::ranges::find(tile_bounds, node.name) == std::end(tile_bounds)) return {};
  const std::size_t dot = node.name.find('.');
  return llvm::formatv("{0}[{1}]{2}", node.name.substr(0, dot), *constant_of(node.operands[0]),
                       node.name.substr(dot));
}

}  // namespace

// It depends on the tile, if in name only.
Expr tile_bound(bool is_of_keys, bool is_high, int index) {
  const int which = 2 * static_cast<int>(is_of_keys) + static_cast<int>(is_high);
  return intern(
      {.op = ExprOp::element,
       .type = ExprType::integer,
       .dtype = DType::i32,
       .name = std::string(tile_bounds[which]),
       .operands = {index, variable(is_of_keys ? Variable::k_first : Variable::q_first)}});
}

std::string CudaText::type_name(DType type) {
  switch (type) {
    case DType::f32:
      return "float";
    case DType::i32:
      return "int";
    case DType::u8:
      return "unsigned char";
    case DType::f16:
    case DType::bf16:
      return std::string(name(type));
  }
  return {};
}

// Whether it is the same for all queries and keys of a work item.
bool CudaText::is_hoistable(const Expr& expr) {
  constexpr Variable varying[] = {Variable::q,       Variable::k,     Variable::score,
                                  Variable::q_first, Variable::q_end, Variable::k_first,
                                  Variable::k_end};
  return std::ranges::none_of(
      varying, [&](Variable variable) { return expr.node().uses_variable(variable); });
}

std::string CudaText::in_parentheses(const std::string& text) { return "(" + text + ")"; }

// ---- Members

std::string CudaText::member(const std::string& type, const std::string& name,
                             const std::string& value) {
  const auto known = std::ranges::find(members_, value, &Member::value);
  if (known != members_.end()) return known->name;
  members_.push_back({type, name, value});
  return name;
}

std::string CudaText::declarations() const {
  std::string text;
  for (const Member& m : members_) text += "  " + m.type + " " + m.name + ";\n";
  return text;
}

std::string CudaText::initialisers(std::string before) const {
  std::string text;
  for (const Member& m : members_) {
    text += before + m.name + "(" + m.value + ")";
    before = ",\n        ";
  }
  return text;
}

// The value of a member is written as the constructor sees it.
std::string CudaText::hoisted(const Expr& expr) {
  in_constructor_ = true;
  const std::string value = expr.type() == ExprType::real ? real(expr) : integer(expr);
  in_constructor_ = false;
  const std::string name = llvm::formatv("hoisted{0}", members_.size());
  return member(expr.type() == ExprType::real ? "float" : "int", name, value);
}

std::string CudaText::position(Variable variable) const {
  const std::string text(name(variable));
  return variable == columns_ ? in_parentheses(text + " + column") : text;
}

std::string CudaText::leaf(const ExprNode& node) {
  if (node.op == ExprOp::scalar) {
    const std::string bits = llvm::formatv("params.named.scalars[{0}]", names_.index_of(node));
    const bool is_real = node.type == ExprType::real;
    const std::string value = is_real ? "__int_as_float" + in_parentheses(bits) : bits;
    return in_constructor_ ? value : member(is_real ? "float" : "int", node.name + "_", value);
  }
  const auto fact = [&](const char* name, const std::string& value) {
    return in_constructor_ ? value : member("int", name, value);
  };
  switch (node.variable) {
    case Variable::q:
    case Variable::k:
      return position(node.variable);
    case Variable::batch:
      return fact("batch", "item.batch");
    case Variable::head:
      return fact("head", "item.head");
    case Variable::kv_head:
      return fact("kv_head", llvm::formatv("item.head / {0}", group_size_));
    case Variable::q_len:
      return fact("q_len", "params.q_len");
    case Variable::kv_len:
      return fact("kv_len", "params.kv_len");
    case Variable::q_first:
      return "q.begin";
    case Variable::q_end:
      return "q.end";
    case Variable::k_first:
      return "k.begin";
    case Variable::k_end:
      return "k.end";
    case Variable::score:
      break;
  }
  llvm_unreachable("no policy reads it");
}

std::string CudaText::tensor_member(const ExprNode& node) {
  const std::string tensor = llvm::formatv("params.named.tensors[{0}]", names_.index_of(node));
  return in_constructor_ ? tensor : member("NamedTensor", node.name + "_", tensor);
}

std::string CudaText::leading_indices(const ExprNode& node) {
  std::string text;
  for (std::size_t i = 0; i + 1 < node.operands.size(); i++)
    text += ", " + integer(node.operands[i]);
  return text;
}

std::string CudaText::element(const ExprNode& node) {
  if (const std::string bound = tile_bound_text(node); !bound.empty()) return bound;
  if (taken_element_ && &taken_element_->node() == &node) return "element";
  return "named_element<" + type_name(node.dtype) + ">(" + tensor_member(node) +
         leading_indices(node) + ", " + integer(node.operands.back()) + ")";
}

// ---- Integers

std::string CudaText::sum(const Expr& expr) {
  const Linear linear(expr);
  std::string text;
  const auto add = [&](bool is_negative, const std::string& part) {
    text += text.empty() ? (is_negative ? "-" : "") : (is_negative ? " - " : " + ");
    text += part;
  };
  for (const auto& [term, coefficient] : linear.terms) {
    std::string part = integer(term);
    if (std::abs(coefficient) != 1) part += llvm::formatv(" * {0}", std::abs(coefficient)).str();
    add(coefficient < 0, part);
  }
  if (linear.constant != 0) add(linear.constant < 0, std::to_string(std::abs(linear.constant)));
  return in_parentheses(text);
}

// `power_of_two` takes the dividend and the divisor's logarithm, or the divisor less one.
std::string CudaText::divided(const ExprNode& node, std::string_view power_of_two,
                              std::string_view any) {
  const Expr &dividend = node.operands[0], &divisor = node.operands[1];
  const auto constant = constant_of(divisor);
  if (constant && llvm::isPowerOf2_64(*constant)) {
    const std::int64_t operand = power_of_two == " >> " ? llvm::Log2_64(*constant) : *constant - 1;
    return in_parentheses(integer(dividend) + std::string(power_of_two) + std::to_string(operand));
  }
  return std::string(any) + "(" + integer(dividend) + ", " + integer(divisor) + ")";
}

std::string CudaText::integer(const Expr& expr) {
  const ExprNode& node = expr.node();
  const auto& x = node.operands;
  switch (node.op) {
    case ExprOp::constant:
      return node.value < 0 ? in_parentheses(std::to_string(node.value))
                            : std::to_string(node.value);
    case ExprOp::variable:
    case ExprOp::scalar:
      return leaf(node);
    case ExprOp::sum:
      return sum(expr);
    case ExprOp::multiply:
      return in_parentheses(integer(x[0]) + " * " + integer(x[1]));
    default:
      break;
  }
  // Costly enough to be worked out once.
  if (!in_constructor_ && is_hoistable(expr)) return hoisted(expr);
  switch (node.op) {
    case ExprOp::floor_divide:
      return divided(node, " >> ", "floor_divide");
    case ExprOp::modulo:
      return divided(node, " & ", "floor_modulo");
    case ExprOp::minimum:
      return call("min", x);
    case ExprOp::maximum:
      return call("max", x);
    case ExprOp::absolute:
      return call("magnitude", x);
    case ExprOp::select:
      return in_parentheses(condition(x[0]) + " ? " + integer(x[1]) + " : " + integer(x[2]));
    default:
      return element(node);
  }
}

std::string CudaText::call(std::string_view function, const std::vector<Expr>& operands) {
  std::string text = std::string(function) + "(";
  for (std::size_t i = 0; i < operands.size(); i++)
    text += (i == 0 ? "" : ", ") + integer(operands[i]);
  return text + ")";
}

// ---- Conditions

// Takes the position that columns count out of a sum that has it in one term, by itself, and
// returns its coefficient; else returns 0.
std::int64_t CudaText::take_column(Linear& sum) const {
  const auto has_column = [&](const auto& term) {
    return term.first.node().uses_variable(columns_);
  };
  const auto column = std::ranges::find_if(sum.terms, has_column);
  if (column == sum.terms.end() || column->first.node().op != ExprOp::variable ||
      std::ranges::count_if(sum.terms, has_column) > 1)
    return 0;
  const std::int64_t coefficient = column->second;
  sum.terms.erase(column);
  return coefficient;
}

// Solved for the column, so that the rest is the same for all elements of a row.
std::string CudaText::bound(const Expr& integer_at_most_zero) {
  Linear rest(integer_at_most_zero);
  const std::int64_t factor = take_column(rest);
  if (std::abs(factor) != 1) return {};
  // An element may be as large as 32 bits hold: alone it is brought nearer, with others it stays
  // where it is.
  const bool has_element = std::ranges::any_of(
      rest.terms, [](const auto& term) { return has_large_element(term.first); });
  if (has_element && rest.terms.size() > 1) return {};
  const Expr others = has_element ? with_near_element(rest.expr()) : rest.expr();
  return integer(factor > 0 ? -others : others) + " - " + std::string(name(columns_));
}

// Negative terms on the right: a difference of elements might not fit 32 bits.
std::string CudaText::sides(const Expr& difference, const char* op) {
  Linear left(difference), right(0);
  for (const auto& [term, coefficient] : left.terms)
    if (coefficient < 0) right.terms.emplace_back(term, -coefficient);
  std::erase_if(left.terms, [](const auto& term) { return term.second < 0; });
  right.constant = std::max<std::int64_t>(-left.constant, 0);
  left.constant = std::max<std::int64_t>(left.constant, 0);
  // a + 1 <= b is a < b: an element may be the largest integer.
  const bool is_strict = std::string_view(op) == "<=" && left.constant > 0 && !left.terms.empty();
  if (is_strict) left.constant--;
  return integer(left.expr()) + " " + (is_strict ? "<" : op) + " " + integer(right.expr());
}

std::string CudaText::condition(const Expr& expr) {
  const ExprNode& node = expr.node();
  const auto& x = node.operands;
  const auto comparison = [&](const char* op, const char* reversed) {
    const std::string limit = in_constructor_ ? "" : bound(x[0]);
    if (limit.empty()) return sides(x[0], op);
    Linear linear(x[0]);
    return std::string("column ") + (take_column(linear) > 0 ? op : reversed) + " " + limit;
  };
  const auto joined = [&](const char* op) {
    std::string text;
    for (const Expr& part : x) text += (text.empty() ? "" : op) + in_parentheses(condition(part));
    return text;
  };
  switch (node.op) {
    case ExprOp::constant:
      return node.value != 0 ? "true" : "false";
    case ExprOp::at_most_zero:
      return comparison("<=", ">=");
    case ExprOp::is_zero:
      return comparison("==", "==");
    case ExprOp::is_not_zero:
      return comparison("!=", "!=");
    case ExprOp::less:
      return real(x[0]) + " < " + real(x[1]);
    case ExprOp::less_equal:
      return real(x[0]) + " <= " + real(x[1]);
    case ExprOp::equal:
      return real(x[0]) + " == " + real(x[1]);
    case ExprOp::logical_not:
      return "!" + in_parentheses(condition(x[0]));
    case ExprOp::logical_and:
      return joined(" & ");
    case ExprOp::logical_or:
      return joined(" | ");
    default: {  // bit
      const bool is_in_word =
          x[1].node().is_constant() || (x[1].node().op == ExprOp::modulo &&
                                        constant_of(x[1].node().operands[1]).value_or(33) <= 32);
      return in_parentheses(
                 integer(x[0]) + " >> " +
                 (is_in_word ? integer(x[1]) : in_parentheses(integer(x[1]) + " & 31"))) +
             " & 1";
    }
  }
}

}  // namespace streamattn

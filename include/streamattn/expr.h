// Expressions over positions, heads, named scalars and named tensors: what masks and scores are.
#pragma once

#include <climits>
#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "streamattn/dtype.h"
#include "streamattn/export.h"

namespace streamattn {

struct ExprNode;

/// What an expression is worth. Integers have 32 bits, reals are float32.
enum class ExprType { boolean, integer, real };

/// "boolean", "integer", "real".
STREAMATTN_API std::string_view name(ExprType type);

/// What a text is read as: a condition, or a real.
enum class ExprRole { mask, score };

/// What is known of a pair of a query and a key.
enum class Variable {
  q,  ///< global position of the query
  k,  ///< global position of the key
  batch,
  head,     ///< of the query
  kv_head,  ///< head / group_size
  q_len,    ///< rows of the tensor q
  kv_len,   ///< rows of the tensor k
  score,    ///< in a score: the product of query and key times the scale
  // Internal: some neighbouring queries and keys, [first, end).
  q_first,
  q_end,
  k_first,
  k_end,
};

/// A variable as it is written in C++; becomes an expression where one is needed.
struct VariableName {
  Variable variable;
};

/// What expressions are written with: `using namespace streamattn::expr_names`.
namespace expr_names {
inline constexpr VariableName q{Variable::q}, k{Variable::k}, batch{Variable::batch},
    head{Variable::head}, kv_head{Variable::kv_head}, q_len{Variable::q_len},
    kv_len{Variable::kv_len}, score{Variable::score};
}  // namespace expr_names

/// A typed, immutable expression, in canonical form from the start: many spellings of one mask are
/// one expression. Cheap to copy and to compare. As text:
///
///   q k batch head kv_head q_len kv_len score   variables, see Variable
///   window  cap:f32                             scalars, given at launch, never compiled in
///   doc[batch, k]  bias:bf16[head, q, k]        tensors, given at launch, with one to four indices
///   16  0.5  true  false                        constants
///   + - * /  // %  min(a, b) max(a, b) abs(a)   arithmetic; -a
///   < <= > >= == !=  && || !                    conditions
///   select(c, a, b)                             a where the condition c holds, else b
///   exp(a) log(a) tanh(a) sqrt(a)               of reals
///   bit(word, i)                                bit i % 32 of an integer
///
/// `/` is a division of reals. `//` and `%` are of integers and round down, as in Python; they
/// divide by a positive constant or by a scalar, which must be positive at launch. Integers become
/// reals where a real is needed. Scalars are i32 or f32, elements of tensors f32, f16, bf16, i32 or
/// u8; a name that does not say its type is i32 in a mask and in an index, f32 elsewhere in a
/// score. An integer that is not 0 is true where a condition is needed. An index outside a tensor
/// takes the nearest element.
class STREAMATTN_API Expr {
 public:
  /// "true": as a mask, every query sees every key.
  Expr() : Expr(constant(true)) {}

  Expr(VariableName name);

  /// Constants.
  template <std::same_as<bool> Boolean>
  Expr(Boolean value) : Expr(constant(value)) {}
  template <std::integral Integer>
    requires(!std::same_as<Integer, bool>)
  Expr(Integer value)
      : Expr(constant(std::in_range<long long>(value) ? static_cast<long long>(value)
                                                      : LLONG_MAX)) {}
  template <std::floating_point Real>
  Expr(Real value) : Expr(constant(static_cast<double>(value))) {}

  /// Reads `text`. Throws Error (invalid_problem) with a caret under the offending character.
  static Expr parse(std::string_view text, ExprRole role = ExprRole::mask);

  /// The canonical spelling, names with their types: parse(text()) is the same expression.
  std::string text() const;

  ExprType type() const;

  /// Whether this is the same expression as `other`. `==` makes an expression instead.
  bool same_as(const Expr& other) const { return node_ == other.node_; }

  /// Internal.
  explicit Expr(std::shared_ptr<const ExprNode> node) : node_(std::move(node)) {}
  const ExprNode& node() const { return *node_; }

 private:
  static Expr constant(bool value);
  static Expr constant(long long value);
  static Expr constant(double value);

  std::shared_ptr<const ExprNode> node_;
};

/// A number that is given at launch by its name (ScalarArg); `dtype` is i32 or f32.
STREAMATTN_API Expr scalar(std::string_view name, DType dtype = DType::i32);

/// A tensor that is given at launch by its name (TensorArg).
class STREAMATTN_API TensorName {
 public:
  TensorName(std::string_view name, DType dtype) : name_(name), dtype_(dtype) {}

  /// The element at one to four integer indices.
  template <class... Indices>
  Expr operator()(const Indices&... indices) const {
    return at({Expr(indices)...});
  }

 private:
  Expr at(std::vector<Expr> indices) const;

  std::string name_;
  DType dtype_;
};

// Operators and functions, as in text. Each throws Error (invalid_problem) for operands of a type
// that it does not take, and where constants leave 32 bits.
STREAMATTN_API Expr operator-(const Expr& a);
STREAMATTN_API Expr operator+(const Expr& a, const Expr& b);
STREAMATTN_API Expr operator-(const Expr& a, const Expr& b);
STREAMATTN_API Expr operator*(const Expr& a, const Expr& b);
STREAMATTN_API Expr operator/(const Expr& a, const Expr& b);
STREAMATTN_API Expr operator%(const Expr& a, const Expr& b);
STREAMATTN_API Expr floor_divide(const Expr& a, const Expr& b);  ///< a // b
STREAMATTN_API Expr operator<(const Expr& a, const Expr& b);
STREAMATTN_API Expr operator<=(const Expr& a, const Expr& b);
STREAMATTN_API Expr operator>(const Expr& a, const Expr& b);
STREAMATTN_API Expr operator>=(const Expr& a, const Expr& b);
STREAMATTN_API Expr operator==(const Expr& a, const Expr& b);
STREAMATTN_API Expr operator!=(const Expr& a, const Expr& b);
STREAMATTN_API Expr operator&&(const Expr& a, const Expr& b);
STREAMATTN_API Expr operator||(const Expr& a, const Expr& b);
STREAMATTN_API Expr operator!(const Expr& a);
STREAMATTN_API Expr min(const Expr& a, const Expr& b);
STREAMATTN_API Expr max(const Expr& a, const Expr& b);
STREAMATTN_API Expr abs(const Expr& a);
STREAMATTN_API Expr select(const Expr& condition, const Expr& a, const Expr& b);
STREAMATTN_API Expr exp(const Expr& a);
STREAMATTN_API Expr log(const Expr& a);
STREAMATTN_API Expr tanh(const Expr& a);
STREAMATTN_API Expr sqrt(const Expr& a);
STREAMATTN_API Expr bit(const Expr& word, const Expr& index);

}  // namespace streamattn

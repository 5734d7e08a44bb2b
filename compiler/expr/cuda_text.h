// Expressions as CUDA, for the score policies of templates/parts/scores.cuh.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "compiler/expr/build.h"
#include "compiler/expr/names.h"

namespace streamattn {

/// An end of the interval `rows[index]` or `keys[index]`, for templates/forward/key_lists.cuh.
Expr tile_bound(bool is_of_keys, bool is_high, int index);

/// Writes expressions and collects the members of a policy that these read: what depends neither on
/// a query nor on a key is worked out once, when the policy is built.
class CudaText {
 public:
  CudaText(const ExprNames& names, int group_size) : names_(names), group_size_(group_size) {}

  /// In functions of a query `q`, a key `k + column` (or, along queries, `q + column` and `k`) and,
  /// where scores change, a product `s`; or of the queries [q.begin, q.end) and the keys [k.begin,
  /// k.end).
  std::string integer(const Expr& expr);
  std::string condition(const Expr& expr);
  std::string real(const Expr& expr);

  /// From here on this element of a tensor is `element`, which was loaded ahead.
  void take_element(const Expr& element) { taken_element_ = element; }

  /// From here on `s` is the score itself, not the product that times the scale is one.
  void take_scores() { takes_scores_ = true; }

  /// From here on columns are queries, not keys.
  void take_queries_as_columns() { columns_ = Variable::q; }

  /// "float" for f32.
  static std::string type_name(DType type);

  struct Member {
    std::string type, name, value;  // value in terms of `params` and `item`
  };
  const std::vector<Member>& members() const { return members_; }

  /// Their declarations, and what a constructor begins with, the first one behind `before`.
  std::string declarations() const;
  std::string initialisers(std::string before) const;

  /// Whether `product` is a score times uniform factors; then `factor` is their product with the
  /// scale, a member.
  bool is_scaled_score(const Expr& product, std::string& factor);

  /// The member that holds the tensor of an element, and that element's indices but the last.
  std::string tensor_member(const ExprNode& element);
  std::string leading_indices(const ExprNode& element);

 private:
  /// base + step * column; a step that is empty is 0.
  struct Affine {
    std::string base, step;
  };

  static bool is_hoistable(const Expr& expr);
  static std::string in_parentheses(const std::string& text);
  std::int64_t take_column(Linear& sum) const;
  std::string position(Variable variable) const;
  std::string leaf(const ExprNode& node);
  std::string sum(const Expr& expr);
  std::string divided(const ExprNode& node, std::string_view power_of_two, std::string_view any);
  std::string sides(const Expr& difference, const char* op);
  std::string bound(const Expr& integer);
  std::string element(const ExprNode& node);
  static std::string text_of(const Affine& value);
  Affine affine(const Expr& expr);
  Affine affine_integer(const Expr& integer);
  static void collect_factors(const Expr& expr, std::vector<Expr>& uniform,
                              std::vector<Expr>& varying, std::vector<Expr>& divisors);
  Affine product(const Expr& expr);
  std::string uniform_factor(const std::vector<Expr>& uniform, const std::vector<Expr>& divisors,
                             std::ptrdiff_t scores, bool is_rounded);
  std::string reciprocal(const Expr& divisor);
  std::string call(std::string_view function, const std::vector<Expr>& operands);
  std::string member(const std::string& type, const std::string& name, const std::string& value);
  std::string hoisted(const Expr& expr);

  const ExprNames& names_;
  int group_size_;
  bool in_constructor_ = false;
  bool takes_scores_ = false;
  Variable columns_ = Variable::k;
  std::optional<Expr> taken_element_;
  std::vector<Member> members_;
};

}  // namespace streamattn

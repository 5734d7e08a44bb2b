// Writes score policies.
#include "compiler/expr/score_policy.h"

#include <llvm/Support/FormatVariadic.h>

#include <algorithm>
#include <optional>

#include "compiler/expr/build.h"
#include "compiler/expr/cuda_text.h"
#include "compiler/expr/derivative.h"
#include "compiler/expr/element_slopes.h"
#include "compiler/expr/key_ranges.h"
#include "compiler/expr/node.h"

namespace streamattn {
namespace {

constexpr double log2_e = 1.4426950408889634;

/// element_count, element_slope() and element_place() of the elements of `tensor` that `expr`
/// takes, which take the pair by these parameters.
std::string element_functions(CudaText& cuda, const Expr& expr, std::string_view tensor,
                              const char* slope_parameters, const char* place_parameters) {
  int count = 0;
  std::string slopes, places, uniform = "false";
  for (const auto& [element, slope] : element_slopes(expr)) {
    const ExprNode& node = element.node();
    if (node.name != tensor) continue;
    std::string indices;
    for (const Expr& index : node.operands) indices += ", " + cuda.integer(index);
    slopes += llvm::formatv("    if (n == {0}) return {1};\n", count, cuda.real(slope));
    places += llvm::formatv("    if (n == {0}) return named_row(to{1});\n", count, indices);
    if (!node.uses_variable(Variable::q) && !node.uses_variable(Variable::k))
      uniform += llvm::formatv(" || n == {0}", count);
    count++;
  }
  return llvm::formatv(
      "  static constexpr int element_count = {0};\n"
      "  SA_DEVICE static constexpr bool is_uniform(int n) {{ return {1}; }\n"
      "  SA_DEVICE float element_slope(int n, {2}) const {{\n{3}    return 0;\n  }\n"
      "  SA_DEVICE long long element_place(int n, const NamedTensor& to, {4}) const {{\n"
      "{5}    return 0;\n  }\n",
      count, uniform, slope_parameters, slopes, place_parameters, places);
}

std::string sink_function(CudaText& cuda, const Expr& sink) {
  return llvm::formatv("  SA_DEVICE float sink(int q) const {{ return {0} * {1:f9}f; }\n",
                       cuda.real(sink), log2_e);
}

class Policy {
 public:
  Policy(const Problem& problem, ElementLoads loads)
      : problem_(problem),
        loads_(loads),
        names_(problem),
        ranges_(problem.mask),
        cuda_(names_, problem.group_size),
        changes_(problem.changes_score()) {}

  // Functions first: they say which members there are.
  std::string text() { return written(seen() + full() + keeps() + change() + sink()); }

  std::string transposed_text() {
    const std::string mask = seen() + full() + keeps();
    cuda_.take_queries_as_columns();
    return written(mask + change_in_one_step() + slope());
  }

  std::string text_with_elements(std::string_view tensor) {
    const std::string mask = seen() + full() + keeps();
    cuda_.take_queries_as_columns();
    const std::string score = change_in_one_step();
    return written(mask + score +
                   element_functions(cuda_, problem_.score, tensor,
                                     "float s, int q, int k, int column",
                                     "int q, int k, int column"));
  }

 private:
  std::string written(const std::string& functions) const {
    std::string text = "struct ProblemScore : ScaledScore {\n";
    text += llvm::formatv("  static constexpr bool trivial = {0};\n",
                          constant_of(problem_.mask) == 1 ? "true" : "false");
    if (changes_) text += "  static constexpr bool changes = true;\n";
    if (through_tanh_) text += "  static constexpr bool through_tanh = true;\n";
    if (takes_element_in_tanh_) text += "  static constexpr bool takes_element_in_tanh = true;\n";
    if (has_slope_) text += "  static constexpr bool has_slope = true;\n";
    if (problem_.sink) text += "  static constexpr bool has_sink = true;\n";
    text += llvm::formatv("  static constexpr int range_count = {0};\n", range_count());
    return text + cuda_.declarations() + constructors() + functions + "};\n";
  }

  // A mask that hides everything has a range, too, which is empty.
  std::size_t range_count() const { return std::max<std::size_t>(ranges_.seen.size(), 1); }

  std::string constructors() const {
    if (cuda_.members().empty() && scale_log2_.empty())
      return "  using ScaledScore::ScaledScore;\n";
    std::string text =
        "  ProblemScore() = default;\n"
        "  SA_DEVICE ProblemScore(const ScoreParams& params, WorkItem item, const Sequence& "
        "sequence)\n"
        "      : ScaledScore(params, item, sequence)";
    text += cuda_.initialisers(",\n        ");
    if (scale_log2_.empty()) return text + " {}\n";
    return text + " {\n    scale_log2 = " + scale_log2_ + ";\n  }\n";
  }

  static std::string function(const char* head, const std::string& result) {
    return std::string("  SA_DEVICE ") + head + " const { return " + result + "; }\n";
  }

  std::string span(const KeyRange& range) {
    const auto end = [&](const Expr& key) -> std::string {
      const auto constant = constant_of(key);
      if (constant == -key_limit) return "first_position";
      if (constant == key_limit) return "last_position";
      return cuda_.integer(key);
    };
    return "{" + end(range.begin) + ", " + end(range.end) + "}";
  }

  std::string list(const std::vector<KeyRange>& ranges) {
    std::string text;
    for (const KeyRange& range : ranges) text += (text.empty() ? "Span" : ", Span") + span(range);
    return "{" + text + "}";
  }

  std::string seen() {
    constexpr const char* head = "Span seen(int i, Span q)";
    if (ranges_.seen.empty()) return function(head, "{0, 0}");
    if (ranges_.seen.size() == 1) return function(head, span(ranges_.seen.front()));
    return "  SA_DEVICE Span seen(int i, Span q) const {\n    const Span ranges[] = " +
           list(ranges_.seen) +
           (ranges_.ends_descend ? ";\n    return nth(ranges, i);\n  }\n"
                                 : ";\n    return nth_from_end(ranges, i);\n  }\n");
  }

  std::string full() {
    constexpr const char* head = "Span full(Span q, Span keys)";
    if (ranges_.full.empty()) return function(head, "{0, 0}");
    if (ranges_.full.size() == 1) return function(head, span(ranges_.full.front()));
    return "  SA_DEVICE Span full(Span q, Span keys) const {\n    const Span ranges[] = " +
           list(ranges_.full) + ";\n    return most_of(keys, ranges);\n  }\n";
  }

  std::string keeps() {
    return function("bool keeps(int q, int k, int column)", cuda_.condition(problem_.mask));
  }

  std::string change() {
    if (!changes_) return {};
    if (std::string text = cap(); !text.empty()) return text;
    std::string text = elements();
    Expr score = problem_.score;
    if (const auto tanh = only_tanh(score)) {
      through_tanh_ = true;
      const Expr argument = tanh->node().operands[0];
      takes_element_in_tanh_ = loads_ == ElementLoads::ahead && has(argument, element_ahead(score));
      text += function("float tangent_of(float s, int q, int k, int column, float element)",
                       cuda_.real(argument));
      score = replaced(score, *tanh, Problem().score);
      cuda_.take_scores();
    }
    return text + change_to(score);
  }

  std::string change_in_one_step() { return changes_ ? change_to(problem_.score) : std::string(); }

  // A positive factor of the whole is softmax's, which multiplies anyway.
  std::string change_to(Expr score) {
    double factor = 1;
    const ExprNode& node = score.node();
    if (node.op == ExprOp::multiply && node.operands[0].node().is_constant() &&
        node.operands[0].node().real > 0) {
      factor = node.operands[0].node().real;
      score = Expr(node.operands[1]);
    }
    scale_log2_ = llvm::formatv("{0:f9}f", factor * log2_e);
    return function("float change(float s, int q, int k, int column, float element)",
                    cuda_.real(score));
  }

  std::string slope() {
    const Expr slope = derivative(problem_.score, expr_names::score);
    has_slope_ = !slope.same_as(Expr(1.0));
    if (!has_slope_) return {};
    return function("float slope(float s, int q, int k, int column)", cuda_.real(slope));
  }

  /// cap * tanh(score / cap), the whole of it: what tanh() / factor leaves is the product, up to
  /// the scale.
  std::string cap() {
    const std::optional<Expr> argument = argument_of_cap(problem_.score);
    std::string tangent_factor;
    if (!argument || !cuda_.is_scaled_score(*argument, tangent_factor)) return {};
    through_tanh_ = true;
    changes_ = false;
    return function("float tangent_factor()", tangent_factor);
  }

  std::string elements() {
    const auto found = element_ahead(problem_.score);
    if (!found || loads_ == ElementLoads::where_used) return {};
    const ExprNode& node = found->node();
    const std::string tensor = cuda_.tensor_member(node);
    const std::string row = "named_row(" + tensor + cuda_.leading_indices(node) + ")";
    cuda_.take_element(*found);
    return llvm::formatv(
        "  template <int N>\n"
        "  using Elements = KeyElements<{0}, N, {1}>;\n"
        "  SA_DEVICE long long row(int q) const {{ return {2}; }\n"
        "  template <class Elements>\n"
        "  SA_DEVICE void load(Elements& elements, const int (&q)[2], int k) const {{\n"
        "    elements.load({3}, {{row(q[0]), row(q[1])}, k);\n"
        "  }\n"
        "  static constexpr int element_bytes = {4};\n"
        "  SA_DEVICE void prefetch(int q, int k) const {{\n"
        "    prefetch_named<{0}, {1}>({3}, row(q), k);\n"
        "  }\n",
        CudaText::type_name(node.dtype), node.operands.size() - 1, row, tensor, bytes(node.dtype));
  }

  static bool has(const Expr& expr, const std::optional<Expr>& part) {
    bool found = false;
    for_each_node(expr, [&](const Expr& node) { found = found || (part && node.same_as(*part)); });
    return found;
  }

  /// The tanh through which alone the result depends on the product, if there is one.
  static std::optional<Expr> only_tanh(const Expr& score) {
    std::optional<Expr> found;
    for_each_node(score, [&](const Expr& part) {
      if (part.node().op != ExprOp::tanh || !part.node().uses_variable(Variable::score)) return;
      if (!replaced(score, part, 0.0).node().uses_variable(Variable::score)) found = part;
    });
    return found;
  }

  std::string sink() {
    return problem_.sink ? sink_function(cuda_, *problem_.sink) : std::string();
  }

  const Problem& problem_;
  ElementLoads loads_;
  ExprNames names_;
  KeyRanges ranges_;
  CudaText cuda_;
  bool changes_, through_tanh_ = false, takes_element_in_tanh_ = false, has_slope_ = false;
  std::string scale_log2_;
};

/// Of names that a sink alone has, the numbers come last: others keep theirs.
Problem without_sink(const Problem& problem) {
  Problem rest = problem;
  rest.sink.reset();
  return rest;
}

}  // namespace

std::string transposed_score_policy(const Problem& problem) {
  return Policy(without_sink(problem), ElementLoads::where_used).transposed_text();
}

std::string element_score_policy(const Problem& problem, std::string_view tensor) {
  return Policy(without_sink(problem), ElementLoads::where_used).text_with_elements(tensor);
}

std::string sink_policy(const Problem& problem, std::string_view tensor) {
  const ExprNames names(problem);
  CudaText cuda(names, problem.group_size);
  std::string functions = sink_function(cuda, *problem.sink);
  functions += element_functions(cuda, *problem.sink, tensor, "int q", "int q");
  return "struct ProblemSink {\n" + cuda.declarations() +
         "  SA_DEVICE ProblemSink(const ScoreParams& params, WorkItem item, const Sequence&)" +
         cuda.initialisers("\n      : ") + " {}\n" + functions + "};\n";
}

std::optional<Expr> element_ahead(const Expr& score) {
  std::optional<Expr> found;
  for_each_node(score, [&](const Expr& part) {
    const ExprNode& node = part.node();
    if (found || node.op != ExprOp::element || part.type() != ExprType::real) return;
    const auto uses_key = [](const Expr& index) { return index.node().uses_variable(Variable::k); };
    if (node.operands.back().same_as(variable(Variable::k)) &&
        std::none_of(node.operands.begin(), node.operands.end() - 1, uses_key))
      found = part;
  });
  return found;
}

std::optional<Expr> argument_of_cap(const Expr& score) {
  const ExprNode& node = score.node();
  if (node.op != ExprOp::multiply) return {};
  for (const int i : {0, 1}) {
    const Expr &factor = node.operands[i], &tanh = node.operands[1 - i];
    if (tanh.node().op != ExprOp::tanh) continue;
    const Expr argument = tanh.node().operands[0];
    if (argument.same_as(Problem().score / factor)) return argument;
  }
  return {};
}

std::string score_policy(const Problem& problem, ElementLoads loads) {
  return Policy(problem, loads).text();
}

}  // namespace streamattn

// From text to expressions.
#include <llvm/ADT/STLExtras.h>
#include <llvm/ADT/StringExtras.h>

#include <charconv>
#include <map>
#include <optional>
#include <span>

#include "compiler/expr/build.h"
#include "compiler/expr/refuse.h"

namespace streamattn {
namespace {

// Above what the canonical text of any expression needs: some 100 characters a node at most, and
// three levels of nesting for one of its.
constexpr std::size_t longest_text = 1 << 19;
constexpr int max_nesting = 3 * max_expr_depth + 20;  // bounds the recursion

/// An error that has its caret.
struct PlacedError : Error {
  using Error::Error;
};

/// What is called as a function.
struct Function {
  std::size_t operands;
  Expr (*apply)(const std::vector<Expr>& x);
};

const std::map<std::string_view, Function>& functions() {
  using List = const std::vector<Expr>&;
  static const std::map<std::string_view, Function> table = {
      {"min", {2, [](List x) { return min(x[0], x[1]); }}},
      {"max", {2, [](List x) { return max(x[0], x[1]); }}},
      {"abs", {1, [](List x) { return abs(x[0]); }}},
      {"select", {3, [](List x) { return select(x[0], x[1], x[2]); }}},
      {"exp", {1, [](List x) { return exp(x[0]); }}},
      {"log", {1, [](List x) { return log(x[0]); }}},
      {"tanh", {1, [](List x) { return tanh(x[0]); }}},
      {"sqrt", {1, [](List x) { return sqrt(x[0]); }}},
      {"bit", {2, [](List x) { return bit(x[0], x[1]); }}},
  };
  return table;
}

/// A binary operator of one level of binding.
struct Operator {
  std::string_view text;
  Expr (*apply)(const Expr& a, const Expr& b);
};

using Operators = std::span<const Operator>;

// From the loosest to the tightest. In a level, an operator comes before those that begin it.
constexpr Operator disjunctions[] = {{"||", operator|| } };
constexpr Operator conjunctions[] = {{"&&", operator&& } };
constexpr Operator comparisons[] = {
    {"<=", operator<= },
     {">=", operator>= },
      {"==", operator== }, {"!=", operator!= }, {"<", operator<}, {">", operator> } };
constexpr Operator sums[] = {{"+", operator+ }, {"-", operator- } };
constexpr Operator products[] = {
    {"*", operator* }, {"//", floor_divide}, {"/", operator/ }, {"%", operator% } };
constexpr Operators levels[] = {disjunctions, conjunctions, comparisons, sums, products};
constexpr Operators comparison_level = comparisons;

/// Recursive descent; every function reads one thing and leaves the place behind it.
class Parser {
 public:
  Parser(std::string_view text, ExprRole role) : text_(text), role_(role) {
    if (text.size() > longest_text)
      throw Error(ErrorCode::invalid_problem,
                  llvm::formatv("{0}: the text has {1} characters, there may be {2}", role_name(),
                                text.size(), longest_text));
  }

  Expr parse() {
    const Expr whole = expression();
    skip_spaces();
    if (at_ != text_.size()) fail(at_, "this is left over");
    return at(0, [&] { return role_ == ExprRole::mask ? condition(whole) : real(whole); });
  }

 private:
  static Expr condition(const Expr& whole) {
    if (whole.type() == ExprType::real) refuse("a mask is a condition, this is real");
    if (whole.node().op == ExprOp::variable) refuse("a variable alone is not a mask");
    return whole && true;
  }

  static Expr real(const Expr& whole) {
    if (whole.type() == ExprType::boolean) refuse("a score is a number, this is a condition");
    return whole.type() == ExprType::integer ? to_real(whole) : whole;
  }

  Expr expression() {
    const Nesting nesting(*this);
    return level(0);
  }

  Expr level(std::size_t number) {
    if (number == std::size(levels)) return unary();
    Expr left = level(number + 1);
    for (bool compared = false;; compared = true) {
      skip_spaces();
      const std::size_t place = at_;
      const Operator* op = operator_of(levels[number]);
      if (op == nullptr) return left;
      if (compared && levels[number].data() == comparison_level.data())
        fail(place, "comparisons are joined by &&");
      const Expr right = level(number + 1);
      left = at(place, [&] { return op->apply(left, right); });
    }
  }

  const Operator* operator_of(Operators level) {
    for (const Operator& op : level) {
      if (!text_.substr(at_).starts_with(op.text)) continue;
      at_ += op.text.size();
      return &op;
    }
    return nullptr;
  }

  Expr unary() {
    const Nesting nesting(*this);
    skip_spaces();
    const std::size_t place = at_;
    if (take('!')) {
      const Expr operand = unary();
      return at(place, [&] { return !operand; });
    }
    if (take('-')) {
      const Expr operand = unary();
      return at(place, [&] { return -operand; });
    }
    return primary();
  }

  Expr primary() {
    skip_spaces();
    const std::size_t place = at_;
    if (at_ == text_.size()) fail(place, "something is missing here");
    if (take('(')) {
      const Expr inner = expression();
      require(')');
      return inner;
    }
    if (llvm::isDigit(text_[at_]) || text_[at_] == '.') return number();
    const std::string_view word = name();
    if (word.empty()) fail(place, "a name or a number is needed here");
    if (word == "true" || word == "false") return word == "true";
    skip_spaces();
    if (peek() == '(') return call(place, word);
    if (const auto variable = variable_called(word)) return known_variable(place, *variable);
    const std::optional<DType> type = type_suffix();
    skip_spaces();
    return at(place,
              [&] { return peek() == '[' ? tensor(word, type) : number_called(word, type); });
  }

  Expr known_variable(std::size_t place, Variable variable) {
    if (variable == Variable::score && (role_ == ExprRole::mask || indices_deep_ > 0))
      fail(place, role_ == ExprRole::mask ? "a mask does not depend on the score"
                                          : "an index does not depend on the score");
    return streamattn::variable(variable);
  }

  Expr number() {
    const std::size_t place = at_;
    const auto is_sign_of_exponent = [&] {
      return (peek() == '-' || peek() == '+') && llvm::toLower(text_[at_ - 1]) == 'e';
    };
    while (llvm::isAlnum(peek()) || peek() == '.' || peek() == '_' || is_sign_of_exponent()) ++at_;
    const std::string_view digits = text_.substr(place, at_ - place);
    const char* end = digits.data() + digits.size();
    const auto read = [&](auto value) {
      const auto [stopped, problem] = std::from_chars(digits.data(), end, value);
      if (stopped != end || problem == std::errc::invalid_argument)
        fail(place, "this is no number");
      if (problem != std::errc()) fail(place, "this number does not fit");
      return at(place, [&] { return Expr(value); });
    };
    return llvm::all_of(digits, llvm::isDigit) ? read(std::int64_t{}) : read(float{});
  }

  std::string_view name() {
    const std::size_t begin = at_;
    while (llvm::isAlnum(peek()) || peek() == '_') ++at_;
    return text_.substr(begin, at_ - begin);
  }

  Expr call(std::size_t place, std::string_view word) {
    const auto function = functions().find(word);
    if (function == functions().end()) fail(place, "this function is not known");
    const std::vector<Expr> operands = list('(', ')');
    if (operands.size() != function->second.operands)
      fail(place, std::string(word) + " takes " + std::to_string(function->second.operands) +
                      (function->second.operands == 1 ? " operand" : " operands"));
    return at(place, [&] { return function->second.apply(operands); });
  }

  std::optional<DType> type_suffix() {
    if (!take(':')) return {};
    skip_spaces();
    const std::size_t place = at_;
    const std::string_view word = name();
    return at(place, [&] { return parse_dtype(word); });
  }

  DType silent_type() const {
    return role_ == ExprRole::mask || indices_deep_ > 0 ? DType::i32 : DType::f32;
  }

  Expr number_called(std::string_view word, std::optional<DType> type) {
    return scalar(word, type.value_or(silent_type()));
  }

  Expr tensor(std::string_view word, std::optional<DType> type) {
    const DType dtype = type.value_or(silent_type());
    ++indices_deep_;
    std::vector<Expr> indices = list('[', ']');
    --indices_deep_;
    return element(word, dtype, std::move(indices));
  }

  std::vector<Expr> list(char open, char close) {
    require(open);
    std::vector<Expr> items;
    do items.push_back(expression());
    while (take(','));
    require(close);
    return items;
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  bool take(char wanted) {
    skip_spaces();
    if (peek() != wanted) return false;
    ++at_;
    return true;
  }

  void require(char wanted) {
    if (!take(wanted)) fail(at_, std::string("a '") + wanted + "' is needed here");
  }

  void skip_spaces() {
    while (at_ < text_.size() && llvm::isSpace(text_[at_])) ++at_;
  }

  /// make(), an error of which is about the text at `place`.
  template <class Make>
  auto at(std::size_t place, const Make& make) -> decltype(make()) {
    try {
      return make();
    } catch (const PlacedError&) {
      throw;
    } catch (const Error& error) {
      std::string_view complaint = error.what();
      if (complaint.starts_with("expression: ")) complaint.remove_prefix(sizeof "expression:");
      fail(place, complaint);
    }
  }

  /// Shows the text around the place: one line, where a tab or a line break would move the caret.
  [[noreturn]] void fail(std::size_t column, std::string_view complaint) const {
    constexpr std::size_t most_before = 100, most_behind = 60;
    const std::size_t begin = column > most_before ? column - most_before : 0;
    const std::string before = begin > 0 ? "..." : "";
    const std::string behind = text_.size() - column > most_behind ? "..." : "";
    const std::string shown = printable(text_.substr(begin, column - begin + most_behind));
    throw PlacedError(
        ErrorCode::invalid_problem,
        llvm::formatv("{0}: {1}\n  {2}{3}{4}\n  {5}^", role_name(), complaint, before, shown,
                      behind, std::string(before.size() + column - begin, ' ')));
  }

  const char* role_name() const { return role_ == ExprRole::mask ? "mask" : "score"; }

  /// Counts a level of nesting while it lives.
  struct Nesting {
    explicit Nesting(Parser& owner) : parser(owner) {
      if (++parser.depth_ > max_nesting) parser.fail(parser.at_, "this is nested too deep");
    }
    ~Nesting() { --parser.depth_; }
    Nesting(const Nesting&) = delete;
    Parser& parser;
  };

  std::string_view text_;
  ExprRole role_;
  std::size_t at_ = 0;
  int depth_ = 0;
  int indices_deep_ = 0;  // brackets that are open
};

}  // namespace

bool is_function(std::string_view word) { return functions().contains(word); }

Expr Expr::parse(std::string_view text, ExprRole role) { return Parser(text, role).parse(); }

}  // namespace streamattn

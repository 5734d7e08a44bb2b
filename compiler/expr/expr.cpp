// Parsing and evaluation of mask expressions.
#include "streamattn/expr.h"

#include <llvm/ADT/StringExtras.h>

#include "streamattn/error.h"

namespace streamattn {
namespace {

constexpr std::string_view everything = "true";
constexpr std::string_view causal_text = "k <= q";

/// Recursive descent over
///   comparison := primary [("<=" | ">=") primary]
///   primary    := "true" | "k" | "q" | "(" comparison ")"
/// Every function returns the canonical text of what it read.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::string_view parse() {
    const std::string_view mask = comparison();
    skip_spaces();
    if (at_ != text_.size()) fail(at_, "this is left over");
    if (is_position(mask)) fail(text_.find(mask), "a position alone is not a mask");
    return mask;
  }

 private:
  static bool is_position(std::string_view term) { return term == "k" || term == "q"; }

  std::string_view comparison() {
    const std::string_view left = primary();
    skip_spaces();
    const std::size_t operator_at = at_;
    const std::string_view op = text_.substr(at_, 2);
    if (op != "<=" && op != ">=") return left;
    at_ += op.size();
    const std::string_view right = primary();
    if (left == "k" && op == "<=" && right == "q") return causal_text;
    if (left == "q" && op == ">=" && right == "k") return causal_text;
    fail(operator_at, "this comparison is not known");
  }

  std::string_view primary() {
    skip_spaces();
    const std::size_t begin = at_;
    if (at_ == text_.size()) fail(begin, "something is missing here");
    if (text_[at_] == '(') return parenthesised();
    while (at_ < text_.size() && (llvm::isAlnum(text_[at_]) || text_[at_] == '_')) ++at_;
    const std::string_view word = text_.substr(begin, at_ - begin);
    if (is_position(word)) return word;
    if (word == everything) return everything;
    fail(begin, word.empty() ? "a name is needed here" : "this name is not known");
  }

  std::string_view parenthesised() {
    constexpr int max_depth = 64;  // bounds the recursion whatever the text
    const std::size_t begin = at_++;
    if (++depth_ > max_depth) fail(begin, "parentheses are nested too deep");
    const std::string_view inner = comparison();
    skip_spaces();
    if (at_ == text_.size() || text_[at_] != ')') fail(at_, "a ')' is needed here");
    ++at_;
    --depth_;
    return inner;
  }

  void skip_spaces() {
    while (at_ < text_.size() && llvm::isSpace(text_[at_])) ++at_;
  }

  [[noreturn]] void fail(std::size_t column, std::string_view complaint) const {
    std::string shown(text_);
    for (char& c : shown) {
      if (!llvm::isPrint(c)) c = ' ';  // a tab or a line break would move the caret
    }
    throw Error(ErrorCode::invalid_problem, "mask: " + std::string(complaint) + "\n  " + shown +
                                                "\n  " + std::string(column, ' ') +
                                                "^\na mask is \"true\" or \"k <= q\" so far");
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

Expr Expr::parse(std::string_view text) { return Expr(std::string(Parser(text).parse())); }

bool Expr::evaluate(long long q, long long k) const { return text_ == everything || k <= q; }

Expr causal() { return Expr(std::string(causal_text)); }

}  // namespace streamattn

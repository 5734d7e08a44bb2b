// Reads any bytes as a mask and as a score: what is read has a text that is read as the same, and a
// score has a derivative. An entry for libFuzzer; expr_fuzz_main.cpp runs it without.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "compiler/expr/build.h"
#include "compiler/expr/derivative.h"
#include "streamattn/error.h"

using namespace streamattn;

namespace {

[[noreturn]] void report(const std::string& what, const std::string& text) {
  std::fprintf(stderr, "expr_fuzz: %s: %s\n", what.c_str(), text.c_str());
  std::abort();
}

bool is_one_line(char c) { return c == '\n' || (c >= ' ' && c <= '~'); }

void check_same(const Expr& expr, ExprRole role, const char* what) {
  const std::string text = expr.text();
  try {
    const Expr again = Expr::parse(text, role);
    if (!again.same_as(expr)) report(what, text + "\n  is read as: " + again.text());
  } catch (const Error& error) {
    report(what, error.what());
  }
}

void check_mask(const Expr& mask) {
  check_same(mask, ExprRole::mask, "a mask is read as another");
  try {
    if (!(!!mask).same_as(mask)) report("negated twice", mask.text());
    if (!(mask || !mask).same_as(true)) report("the opposite", mask.text());
    if (!(mask && !mask).same_as(false)) report("the opposite", mask.text());
  } catch (const Error&) {
    // too large
  }
}

void check_score(const Expr& score) {
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
    const std::string message = error.what();
    if (error.code() != ErrorCode::invalid_problem) report("another code", message);
    for (const char c : message)
      if (!is_one_line(c)) report("a message with a control character", message);
    if (message.find('^') == std::string::npos && text.size() < 500000)
      report("a message without a caret", message);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(bytes), size);
  check(text, ExprRole::mask);
  check(text, ExprRole::score);
  return 0;
}

// Random expressions as a user may write them.
#pragma once

#include <cstdint>
#include <random>

#include "tests/support/syntax_tree.h"

namespace streamattn {

struct RandomExprOptions {
  int depth = 4;
  bool has_names = true;   ///< scalars and tensors: at most 3 and 6
  bool has_reals = true;   ///< in masks; scores always have
  bool is_linear = false;  ///< integers are sums of multiples of q, k and the other variables
  bool has_huge_numbers = false;  ///< near the end of 32 bits, now and then
};

/// Draws expressions. Equal seeds give equal ones.
class RandomExprs {
 public:
  explicit RandomExprs(std::uint64_t seed, RandomExprOptions options = {})
      : random_(seed), options_(options) {}

  SyntaxTree mask() { return condition(options_.depth); }
  SyntaxTree score();

 private:
  int below(int count) { return std::uniform_int_distribution(0, count - 1)(random_); }
  SyntaxTree condition(int depth);
  SyntaxTree integer(int depth);
  SyntaxTree linear();
  SyntaxTree real(int depth);
  SyntaxTree number_or_variable();
  SyntaxTree integer_number();
  SyntaxTree real_leaf();
  SyntaxTree element(const char* name, DType dtype, int rank, int depth);
  SyntaxTree divisor();

  std::mt19937_64 random_;
  RandomExprOptions options_;
  bool in_score_ = false, in_index_ = false;
};

}  // namespace streamattn

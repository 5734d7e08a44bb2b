// Scores that are a product times a constant, and more that does not depend on it.
#pragma once

#include <optional>

#include "streamattn/expr.h"

namespace streamattn {

/// factor * score + rest / log2(e).
struct ScoreSum {
  double factor;  // positive
  Expr rest;      // of base 2; does not depend on the score
};

/// Of a score that is one, with a factor that is a constant.
std::optional<ScoreSum> as_sum(const Expr& score);

}  // namespace streamattn

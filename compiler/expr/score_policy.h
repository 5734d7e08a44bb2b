// The device code of a problem's mask, score and sink.
#pragma once

#include <optional>
#include <string>

#include "streamattn/problem.h"

namespace streamattn {

/// When a score takes the elements of a tensor along the keys.
enum class ElementLoads {
  ahead,       ///< loaded while products run: element_ahead()
  where_used,  ///< element by element
};

/// The struct `ProblemScore`, a score policy (templates/parts/scores.cuh), to stand in namespace
/// streamattn.
std::string score_policy(const Problem& problem, ElementLoads loads = ElementLoads::ahead);

/// The element of a tensor along the keys that a score takes and that is loaded while products run,
/// if there is one: the first, more would not fit the registers.
std::optional<Expr> element_ahead(const Expr& score);

}  // namespace streamattn

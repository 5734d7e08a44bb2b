// The device code of a problem's mask, score and sink.
#pragma once

#include <optional>
#include <string>
#include <string_view>

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

/// The same for tiles whose columns are queries, of which a score changes in one step, with its
/// slope. A sink is in the LSE by then. Throws Error (invalid_problem) where the slope is too large
/// an expression.
std::string transposed_score_policy(const Problem& problem);

/// The same, and what templates/backward/element_gradients.cuh asks for the gradient of a named
/// tensor.
std::string element_score_policy(const Problem& problem, std::string_view tensor);

/// The struct `ProblemSink`, what templates/backward/sink_gradients.cuh asks for the gradient of a
/// named tensor.
std::string sink_policy(const Problem& problem, std::string_view tensor);

/// The element of a tensor along the keys that a score takes and that is loaded while products run,
/// if there is one: the first, more would not fit the registers.
std::optional<Expr> element_ahead(const Expr& score);

/// Of a score that is cap * tanh(score / cap): what stands in tanh.
std::optional<Expr> argument_of_cap(const Expr& score);

}  // namespace streamattn

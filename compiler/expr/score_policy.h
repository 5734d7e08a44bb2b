// The device code of a problem's mask, score and sink.
#pragma once

#include <string>

#include "streamattn/problem.h"

namespace streamattn {

/// The struct `ProblemScore`, a score policy (templates/parts/scores.cuh), to stand in namespace
/// streamattn.
std::string score_policy(const Problem& problem);

}  // namespace streamattn

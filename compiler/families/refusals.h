// Why problems are declined, in the words that families share.
#pragma once

#include <string>

#include "streamattn/problem.h"

namespace streamattn {

/// For families whose batches are dense and equally long; empty where the problem's are.
std::string decline_ragged(const Problem& problem);

}  // namespace streamattn

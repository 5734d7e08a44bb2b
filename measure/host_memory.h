// What the memory of this machine can hold.
#pragma once

#include <string>

namespace streamattn {

/// Throws Error (invalid_argument) where `what`, such as "a block table of 3 x 8 pages", takes more
/// bytes than this machine has memory: says how many both are.
void require_memory(const std::string& what, double bytes);

}  // namespace streamattn

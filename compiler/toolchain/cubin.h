// A look at a cubin before it is trusted.
#pragma once

#include <string>
#include <string_view>

namespace streamattn {

/// What is wrong with `cubin`: not an ELF64 file for CUDA, cut off, or without code for the kernel
/// `entry`. Empty if nothing is.
std::string cubin_complaint(std::string_view cubin, std::string_view entry);

}  // namespace streamattn

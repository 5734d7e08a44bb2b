// Blocks of launch parameters that forward families fill in alike, and what their kernels cannot
// address.
#pragma once

#include <cstdint>

#include "compiler/operations/forward/call.h"
#include "compiler/plan.h"

namespace streamattn {

/// Throws Error (invalid_argument) for lengths, positions and tensors that kernels which count rows
/// in ints and move tensors by TMA cannot address.
void require_addressable(const ForwardCall& call);

/// `product` as an int. Throws Error (invalid_argument) that names it where it is 2^30 or more.
int checked_int(std::int64_t product, const char* what);

Strides strides(const Tensor& tensor);
OutputParams output_params(const ForwardCall& call);
ScoreParams score_params(const ForwardCall& call);

/// The multiprocessors that the launch may use.
int multiprocessors(const ForwardCall& call, const DeviceFacts& device);

/// Adds a launch of kernel `kernel` of the program.
template <class Parameters>
void add_launch(Plan& steps, std::size_t kernel, std::int64_t blocks, const Parameters& values,
                bool overlaps_previous = false) {
  steps.emplace_back(std::in_place_type<KernelLaunch>, kernel, static_cast<unsigned>(blocks),
                     values, overlaps_previous);
}

}  // namespace streamattn

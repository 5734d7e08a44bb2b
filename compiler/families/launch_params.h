// Parameters that GPU families have in common, made from calls.
#pragma once

#include <cstdint>

#include "compiler/plan.h"

namespace streamattn {

/// Throws Error (invalid_argument) unless lengths, heads and positions of a call fit the ints that
/// kernels count in.
void require_countable(const ForwardCall& call);

/// The same, and for tensors that TMA cannot move.
void require_addressable(const ForwardCall& call);

/// `product` where kernels can count so many; else throws Error (invalid_argument).
int checked_int(std::int64_t product, const char* what);

Strides strides(const Tensor& tensor);
OutputParams output_params(const ForwardCall& call);
SequenceParams sequence_params(const ForwardCall& call);
ScoreParams score_params(const ForwardCall& call);

/// The multiprocessors that the launch may use.
int multiprocessors(const ForwardCall& call, const DeviceFacts& device);

/// Adds a launch of the program's kernel `kernel`.
template <class Parameters>
void add_launch(Plan& steps, std::size_t kernel, std::int64_t blocks, const Parameters& values,
                bool overlaps_previous = false) {
  steps.emplace_back(std::in_place_type<KernelLaunch>, kernel, static_cast<unsigned>(blocks),
                     values, overlaps_previous);
}

}  // namespace streamattn

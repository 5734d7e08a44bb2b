// Parameters that GPU families have in common, made from calls.
#pragma once

#include <cstdint>
#include <string>

#include "compiler/plan.h"

namespace streamattn {

/// Throws Error (invalid_argument) unless lengths, heads and positions of a call fit the ints that
/// kernels count in.
void require_countable(const ForwardCall& call);

/// The same, and for tensors that TMA cannot move.
void require_addressable(const ForwardCall& call);

/// The same for `rows` rows of the tensor `name`, the first of them at position `first`.
void require_positions(const char* name, std::int64_t rows, std::int64_t first);

/// `product` where kernels can count so many; else throws Error (invalid_argument).
int checked_int(std::int64_t product, const char* what);

Strides strides(const Tensor& tensor);
OutputParams output_params(const ForwardCall& call);
SequenceParams sequence_params(const ForwardCall& call);
ScoreParams score_params(const ForwardCall& call);
DropoutParams dropout_params(const Dropout& dropout);

/// Where the sequences of a batch lie.
BatchLayout batch_layout(const Problem& problem);

/// Sizes and arrays of a batch; positions and pages are left out.
BatchParams batch_params(const BatchSizes& sizes, const Sequences& sequences);

/// The same of a call, with them.
BatchParams batch_params(const ForwardCall& call);

/// Rows of a TMA box of K or V where the keys of a call are paged: of one page, of one tile of
/// `tile_kv`, and whole groups of a swizzle pattern. 0 where pages have no such rows.
int page_box_rows(const ForwardCall& call, int tile_kv);

/// Why kernels that move rows by 16 bytes of 16-bit elements do not serve a head dim `dim`, called
/// `what`, or blocks of `threads`, `most` at most, in which a row takes `lanes`; empty if they do.
std::string refuse_columns(const char* what, int dim, int most);
std::string refuse_threads(int threads, int lanes, int most);

/// The multiprocessors that a launch may use, `max_sms` as in its arguments.
int multiprocessors(int max_sms, const DeviceFacts& device);
int multiprocessors(const ForwardCall& call, const DeviceFacts& device);

/// Adds a launch of the program's kernel `kernel`.
template <class Parameters>
void add_launch(Plan& steps, std::size_t kernel, std::int64_t blocks, const Parameters& values,
                bool overlaps_previous = false) {
  steps.emplace_back(std::in_place_type<KernelLaunch>, kernel, static_cast<unsigned>(blocks),
                     values, overlaps_previous);
}

}  // namespace streamattn

// Pieces of emitted files that families write alike.
#pragma once

#include <string>
#include <string_view>

#include "streamattn/operation.h"
#include "streamattn/problem.h"
#include "streamattn/target.h"

namespace streamattn {

/// The first line: "// streamattn  append  append_rows  sm_90a".
std::string kernel_header(Operation operation, std::string_view family, const Target& target);

/// The member `layout` of a Spec: where the sequences of a batch lie.
std::string batch_layout_text(const Problem& problem);

/// The kernel streamattn_NAME, which hands its parameters, of this type, to the skeleton NAME. Its
/// registers are such that a multiprocessor holds `blocks`.
std::string kernel_text(const char* name, const char* parameters, int threads, int blocks);

}  // namespace streamattn

// Element types of tensors.
#pragma once

#include <string_view>

#include "streamattn/export.h"

namespace streamattn {

enum class DType { f16, bf16, f32 };

/// The name used in text, TOML and emitted source: "f16", "bf16", "f32".
STREAMATTN_API std::string_view name(DType type);

/// Size of one element.
constexpr int bytes(DType type) { return type == DType::f32 ? 4 : 2; }

/// The type called `text`, also by the names "fp16", "float16", "half", "bfloat16", "fp32",
/// "float32" and "float". Throws Error (invalid_argument) that lists the known names.
STREAMATTN_API DType parse_dtype(std::string_view text);

}  // namespace streamattn

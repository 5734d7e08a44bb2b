// Element types of tensors.
#pragma once

#include <string_view>

#include "streamattn/export.h"

namespace streamattn {

/// Q, K, V and O are of the first three; tensors that a mask or a score names of any.
enum class DType { f16, bf16, f32, i32, u8 };

/// Whether it is one of f16, bf16, f32.
constexpr bool is_real(DType type) { return type <= DType::f32; }

/// The name used in text, TOML and emitted source: "f16", "bf16", "f32", "i32", "u8".
STREAMATTN_API std::string_view name(DType type);

/// Size of one element.
constexpr int bytes(DType type) {
  return type == DType::u8 ? 1 : type == DType::f16 || type == DType::bf16 ? 2 : 4;
}

/// The type called `text`, also by the names "fp16", "float16", "half", "bfloat16", "fp32",
/// "float32", "float", "int32", "int" and "uint8". Throws Error (invalid_argument) that lists the
/// known names.
STREAMATTN_API DType parse_dtype(std::string_view text);

}  // namespace streamattn

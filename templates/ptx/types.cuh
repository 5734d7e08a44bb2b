// Integer names, element tags and the function qualifier that every device file uses.
#pragma once

#define SA_DEVICE __device__ __forceinline__

namespace streamattn {

using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;

/// Tags of the 16-bit element types, named as PTX names them.
struct f16 {};
struct bf16 {};

constexpr float infinity = __builtin_bit_cast(float, 0x7f800000);

}  // namespace streamattn

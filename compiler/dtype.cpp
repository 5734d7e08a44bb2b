// The table of element types.
#include "streamattn/dtype.h"

#include <algorithm>
#include <array>
#include <string>

#include "streamattn/error.h"

namespace streamattn {
namespace {

struct Row {
  DType type;
  std::string_view name;
  std::array<std::string_view, 3> aliases;  // other people's names, read but never written
};

// In the order of the enumerators, which index it.
constexpr Row rows[] = {{DType::f16, "f16", {"fp16", "float16", "half"}},
                        {DType::bf16, "bf16", {"bfloat16"}},
                        {DType::f32, "f32", {"fp32", "float32", "float"}},
                        {DType::i32, "i32", {"int32", "int"}},
                        {DType::u8, "u8", {"uint8"}}};

}  // namespace

std::string_view name(DType type) { return rows[static_cast<int>(type)].name; }

DType parse_dtype(std::string_view text) {
  std::string known;
  for (const Row& row : rows) {
    if (row.name == text || (!text.empty() && std::ranges::count(row.aliases, text) > 0)) {
      return row.type;
    }
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  throw Error(ErrorCode::invalid_argument,
              "unknown element type \"" + std::string(text) + "\", known: " + known);
}

}  // namespace streamattn

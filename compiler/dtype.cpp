// The table of element types.
#include "streamattn/dtype.h"

#include <string>

#include "streamattn/error.h"

namespace streamattn {
namespace {

struct Row {
  DType type;
  std::string_view name;
  int bytes;
};

// In the order of the enumerators, which index it.
constexpr Row rows[] = {{DType::f16, "f16", 2}, {DType::bf16, "bf16", 2}, {DType::f32, "f32", 4}};

}  // namespace

std::string_view name(DType type) { return rows[static_cast<int>(type)].name; }

int bytes(DType type) { return rows[static_cast<int>(type)].bytes; }

DType parse_dtype(std::string_view text) {
  std::string known;
  for (const Row& row : rows) {
    if (row.name == text) return row.type;
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  throw Error(ErrorCode::invalid_argument,
              "unknown element type \"" + std::string(text) + "\", known: " + known);
}

}  // namespace streamattn

// Validation, equality and the canonical description of a problem.
#include "streamattn/problem.h"

#include <llvm/Support/FormatVariadic.h>

#include "streamattn/error.h"

namespace streamattn {
namespace {

// Far above any head there is; keeps products of two dimensions in 32 bits.
constexpr int max_dimension = 1 << 15;

void require_dimension(const char* field, int value) {
  if (value >= 1 && value <= max_dimension) return;
  throw Error(ErrorCode::invalid_problem,
              llvm::formatv("{0} {1} is not in 1..{2}", field, value, max_dimension));
}

}  // namespace

void Problem::validate() const {
  require_dimension("head_dim", head_dim);
  require_dimension("value_head_dim", v_head_dim());
  require_dimension("group_size", group_size);
  if (output_dtype() != dtype && output_dtype() != DType::f32) {
    throw Error(
        ErrorCode::invalid_problem,
        llvm::formatv("out_dtype {0} with dtype {1}: the output is of the input's type or f32",
                      name(output_dtype()), name(dtype)));
  }
}

std::string Problem::describe() const {
  std::string value_dim;
  if (v_head_dim() != head_dim) value_dim = llvm::formatv(", value_head_dim {0}", v_head_dim());
  return llvm::formatv("{0} -> {1}, head_dim {2}{3}, group {4}; mask: {5}", name(dtype),
                       name(output_dtype()), head_dim, value_dim, group_size, mask.text());
}

bool operator==(const Problem& a, const Problem& b) {
  return a.dtype == b.dtype && a.output_dtype() == b.output_dtype() && a.head_dim == b.head_dim &&
         a.v_head_dim() == b.v_head_dim() && a.group_size == b.group_size && a.mask == b.mask;
}

}  // namespace streamattn

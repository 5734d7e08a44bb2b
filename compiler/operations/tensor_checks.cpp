// Sentences about tensors.
#include "compiler/operations/tensor_checks.h"

#include <llvm/ADT/SmallVector.h>
#include <llvm/Support/MathExtras.h>

#include <cstdlib>
#include <limits>
#include <string>

#include "compiler/operations/tensor_overlap.h"

namespace streamattn {
namespace {

constexpr std::int64_t limit = std::int64_t{1} << 62;  // bytes
constexpr int largest_element = 4;                     // bytes

void check_extent(std::string_view name, const Tensor& tensor) {
  std::int64_t extent = tensor.dim;
  for (const auto& [size, stride] :
       {std::pair(tensor.batch, tensor.batch_stride), std::pair(tensor.seq, tensor.seq_stride),
        std::pair(tensor.heads, tensor.head_stride)}) {
    std::int64_t part = 0;
    if (size <= 1) continue;
    if (stride == std::numeric_limits<std::int64_t>::min() ||
        llvm::MulOverflow(size - 1, std::abs(stride), part) ||
        llvm::AddOverflow(extent, part, extent) || extent >= limit / largest_element)
      refuse_argument("{0}: its strides span more than 2^62 bytes", name);
  }
}

/// A tensor in a message, and its memory. Every launch makes these: text is for refusals alone.
struct Operand {
  std::string_view name;
  const char* format;
  Footprint footprint;

  std::string text() const { return llvm::formatv(format, name); }
};

constexpr const char* plain = "{0}";
constexpr const char* named_tensor = "tensor \"{0}\"";
constexpr const char* named_gradient = "gradient of tensor \"{0}\"";

std::string strides_of(const Tensor& t) {
  return llvm::formatv("{0}, {1}, {2}", t.batch_stride, t.seq_stride, t.head_stride);
}

std::string strides_of(const TensorArg& t) {
  std::string text;
  for (int d = 0; d < t.rank; d++) text += (d == 0 ? "" : ", ") + std::to_string(t.strides[d]);
  return text;
}

template <class AnyTensor>
void require_own_places(const Operand& output, const AnyTensor& tensor) {
  if (output.footprint.overlaps_itself())
    refuse_argument(
        "{0}: strides [{1}] put several elements at one place, an output needs a place for each",
        output.text(), strides_of(tensor));
}

}  // namespace

void check_type(std::string_view tensor, DType found, DType needed, std::string_view origin) {
  if (found != needed)
    refuse_argument("{0}: dtype is {1}, needs {2} ({3})", tensor, name(found), name(needed),
                    origin);
}

void check_dimensions(std::string_view tensor, std::initializer_list<NeededSize> sizes) {
  for (const auto& [dimension, found, needed, origin] : sizes) {
    if (found < 0)
      refuse_argument("{0}: {1} is {2}, must not be negative", tensor, dimension, found);
    if (found != needed)
      refuse_argument("{0}: {1} is {2}, needs {3} ({4})", tensor, dimension, found, needed, origin);
  }
}

bool has_elements(const Tensor& t) {
  return t.batch != 0 && t.seq != 0 && t.heads != 0 && t.dim != 0;
}

void check_memory(const NamedOperand& operand) {
  const auto& [name, tensor] = operand;
  if (!has_elements(tensor)) return;
  if (tensor.data == nullptr)
    refuse_argument("{0}: data is null, needs [{1}, {2}, {3}, {4}] elements", name, tensor.batch,
                    tensor.seq, tensor.heads, tensor.dim);
  const auto address = reinterpret_cast<std::uintptr_t>(tensor.data);
  if ((address & (bytes(tensor.dtype) - 1)) != 0)
    refuse_argument("{0}: data is at {1:x}, needs a multiple of {2}", name, address,
                    bytes(tensor.dtype));
  check_extent(name, tensor);
}

void check_overlaps(llvm::ArrayRef<NamedOperand> outputs, llvm::ArrayRef<NamedOperand> inputs,
                    llvm::ArrayRef<TensorArg> arrays, std::span<const TensorArg> named_outputs,
                    std::span<const TensorArg> named, const Workspace& workspace) {
  llvm::SmallVector<Operand, 16> all;  // outputs in front
  for (const auto& [name, tensor] : outputs) {
    all.push_back({name, plain, Footprint(tensor)});
    require_own_places(all.back(), tensor);
  }
  for (const TensorArg& tensor : named_outputs) {
    all.push_back({tensor.name, named_gradient, Footprint(tensor)});
    require_own_places(all.back(), tensor);
  }
  const std::size_t output_count = all.size();
  for (const auto& [name, tensor] : inputs) all.push_back({name, plain, Footprint(tensor)});
  for (const TensorArg& array : arrays) all.push_back({array.name, plain, Footprint(array)});
  for (const TensorArg& tensor : named)
    all.push_back({tensor.name, named_tensor, Footprint(tensor)});

  for (std::size_t i = 0; i < output_count; i++)
    for (std::size_t other = i + 1; other < all.size(); other++)
      if (all[i].footprint.overlaps(all[other].footprint))
        refuse_argument("{0}: overlaps {1}, an output needs memory of its own", all[i].text(),
                        all[other].text());
  if (workspace.data == nullptr) return;
  const Footprint scratch(workspace);
  for (const Operand& operand : all)
    if (scratch.overlaps(operand.footprint))
      refuse_argument("workspace: overlaps {0}, it needs memory of its own", operand.text());
}

}  // namespace streamattn

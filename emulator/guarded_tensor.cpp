// Guards around output tensors.
#include "emulator/guarded_tensor.h"

#include <llvm/Support/FormatVariadic.h>

#include <algorithm>
#include <cstring>

namespace streamattn::emulator {
namespace {

constexpr std::size_t guard_bytes = 4096;
constexpr char guard = static_cast<char>(0xA5);

}  // namespace

GuardedTensor::GuardedTensor(const char* name, const Tensor& tensor, DType type)
    : name_(name), tensor_(tensor), guarded_(tensor), element_bytes_(bytes(type)) {
  if (tensor.data == nullptr || tensor.batch == 0 || tensor.seq == 0 || tensor.heads == 0) return;
  const auto elements = static_cast<std::size_t>(
      (tensor.batch - 1) * tensor.batch_stride + (tensor.seq - 1) * tensor.seq_stride +
      (tensor.heads - 1) * tensor.head_stride + tensor.dim);
  memory_.assign(elements * element_bytes_ + 2 * guard_bytes, guard);
  is_element_.resize(memory_.size());
  guarded_.data = memory_.data() + guard_bytes;
  const auto row_bytes = static_cast<std::size_t>(tensor_.dim) * element_bytes_;
  for_each_row([&](const char* row, char* guarded) {
    std::memcpy(guarded, row, row_bytes);
    std::fill_n(is_element_.begin() + (guarded - memory_.data()), row_bytes, true);
  });
}

template <class Visit>
void GuardedTensor::for_each_row(const Visit& visit) const {
  for (std::int64_t b = 0; b < tensor_.batch; b++)
    for (std::int64_t s = 0; s < tensor_.seq; s++)
      for (std::int64_t h = 0; h < tensor_.heads; h++) {
        const std::int64_t offset =
            (b * tensor_.batch_stride + s * tensor_.seq_stride + h * tensor_.head_stride) *
            element_bytes_;
        visit(static_cast<char*>(tensor_.data) + offset,
              static_cast<char*>(guarded_.data) + offset);
      }
}

std::string GuardedTensor::stray_store() const {
  for (std::size_t i = 0; i < memory_.size(); i++) {
    if (is_element_[i] || memory_[i] == guard) continue;
    return llvm::formatv("stores to byte {0} of {1}, which is {2}",
                         static_cast<std::int64_t>(i) - static_cast<std::int64_t>(guard_bytes),
                         name_,
                         i < guard_bytes                     ? "in front of it"
                         : i >= memory_.size() - guard_bytes ? "behind it"
                                                             : "between its rows");
  }
  return "";
}

void GuardedTensor::copy_back() const {
  if (memory_.empty()) return;
  for_each_row([&](char* row, const char* guarded) {
    std::memcpy(row, guarded, static_cast<std::size_t>(tensor_.dim) * element_bytes_);
  });
}

}  // namespace streamattn::emulator

// The scratch memory of a launch, cut into slices.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <llvm/ADT/SmallVector.h>

namespace streamattn {

/// Hands out slices of one piece of memory, in order. A plan takes its slices from it twice: over
/// nothing, which counts, and over memory that is large enough, which places them.
class WorkspaceSlices {
 public:
  static constexpr std::size_t alignment = 256;

  struct Slice {
    const char* name;
    std::size_t offset, bytes;
  };

  /// Slices lie `gap` bytes apart, a multiple of the alignment, and the first as far from `base`.
  explicit WorkspaceSlices(void* base = nullptr, std::size_t gap = 0) : base_(base), gap_(gap) {}

  /// The next slice: `count` values of T, what they hold unknown. `name` is for reports.
  template <class T>
  T* take(const char* name, std::int64_t count) {
    return reinterpret_cast<T*>(take_bytes(name, static_cast<std::size_t>(count) * sizeof(T)));
  }

  std::span<const Slice> slices() const { return {slices_.data(), slices_.size()}; }

  /// How much memory the slices so far, and the gaps around them, take.
  std::size_t bytes() const { return slices_.empty() ? 0 : end_ + gap_; }

 private:
  std::uintptr_t take_bytes(const char* name, std::size_t bytes) {
    const std::size_t offset = (end_ + alignment - 1) / alignment * alignment + gap_;
    slices_.push_back({name, offset, bytes});
    end_ = offset + bytes;
    return reinterpret_cast<std::uintptr_t>(base_) + offset;
  }

  void* base_;
  std::size_t gap_, end_ = 0;
  llvm::SmallVector<Slice, 4> slices_;
};

}  // namespace streamattn

// Output tensors with room around them in which stray stores are found.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "streamattn/dtype.h"
#include "streamattn/tensor.h"

namespace streamattn::emulator {

/// A copy of a tensor between two guards. Kernels store to it with plain instructions, which
/// nothing can check one by one.
class GuardedTensor {
 public:
  /// `name` is for messages. A tensor without memory stays without.
  GuardedTensor(const char* name, const Tensor& tensor, DType type);

  GuardedTensor(const GuardedTensor&) = delete;
  GuardedTensor& operator=(const GuardedTensor&) = delete;

  /// The tensor in the guarded memory.
  const Tensor& view() const { return guarded_; }

  /// Says where something was stored outside of the tensor's elements; empty if nothing was.
  std::string stray_store() const;

  /// Copies the elements back to the tensor that was given.
  void copy_back() const;

 private:
  // Calls visit(row of the tensor, row in the guarded memory) for every row of elements.
  template <class Visit>
  void for_each_row(const Visit& visit) const;

  const char* name_;
  Tensor tensor_, guarded_;
  int element_bytes_;
  std::vector<char> memory_;
  std::vector<bool> is_element_;  // of every byte
};

}  // namespace streamattn::emulator

// Kernels made of random bytes that pass for compiled ones as long as nobody runs them.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/cache/kernel_key.h"
#include "streamattn/compiler.h"

namespace streamattn {

/// A CUDA ELF file that holds `code_bytes` of random code for a kernel `entry`.
std::string fake_cubin(const std::string& entry, std::size_t code_bytes, std::uint64_t seed);

/// Everything that is stored of one compile; equal seeds give equal values.
struct FakeKernel {
  explicit FakeKernel(std::uint64_t seed, std::size_t code_bytes = 4096);

  Source source;
  KernelKey key;
  Binary binary;
};

}  // namespace streamattn

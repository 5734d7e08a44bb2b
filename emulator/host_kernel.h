// Emitted source as host code: flattened onto emulator/ptx, compiled and loaded.
#pragma once

#include <memory>
#include <span>

#include "emulator/device.h"
#include "streamattn/compiler.h"
#include "support/embedded_file.h"

namespace streamattn::emulator {

/// What __launch_bounds__ says.
struct LaunchBounds {
  int threads = 1024;
  int blocks = 1;  ///< of a multiprocessor

  /// What ptxas gives a thread: the register file of a multiprocessor, shared equally in units of
  /// 8.
  int registers() const;
};

/// A kernel that threads of a Machine can run. It knows no parameter type: it takes bytes.
class HostKernel {
 public:
  /// Compiles `source` with the compiler that STREAMATTN_HOST_CXX names, or the first of c++, g++
  /// and clang++ on the path. Templates in `instead` take the place of their namesakes. Throws
  /// Error: compile_failed where there is no compiler or it refuses the source, with its output,
  /// and for a static __shared__ array; load_failed where the kernel takes other parameters, or is
  /// launched in another way, than the source says.
  HostKernel(const Source& source, std::span<const EmbeddedFile> instead);

  /// A launch of `blocks` blocks with these parameters, which must live as long.
  GridLaunch launch(unsigned blocks, const void* parameters, bool dependent) const;

 private:
  void check(std::size_t parameter_bytes) const;

  Source source_;
  LaunchBounds bounds_;
  std::shared_ptr<void> library_;
  std::span<const char> text_;
  void (*set_machine_)(Machine*);
  void (*run_)(const void*);
};

}  // namespace streamattn::emulator

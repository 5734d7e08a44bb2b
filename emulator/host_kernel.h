// Emitted source as host code: flattened onto emulator/ptx, compiled and loaded.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>

#include "emulator/ptx/machine.h"
#include "streamattn/compiler.h"
#include "support/embedded_file.h"

namespace streamattn::emulator {

/// A kernel that threads of a Machine can run.
class HostKernel {
 public:
  /// Compiles `source` with the compiler that STREAMATTN_HOST_CXX names, or the first of c++, g++
  /// and clang++ on the path. Templates in `instead` take the place of their namesakes. Throws
  /// Error (compile_failed) where there is no compiler or it refuses the source, with its output.
  HostKernel(const Source& source, std::span<const EmbeddedFile> instead);

  /// Makes `machine` that of the calling operating system thread.
  void set_machine(Machine* machine) const { set_machine_(machine); }

  /// The entry, for one thread of the machine, with the parameters that it takes.
  template <class Params>
  void operator()(const Params& params) const {
    reinterpret_cast<void (*)(Params)>(entry_)(params);
  }

 private:
  std::shared_ptr<void> library_;
  void (*set_machine_)(Machine*);
  void* entry_;
};

}  // namespace streamattn::emulator

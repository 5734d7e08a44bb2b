// NVRTC, reached at run time: its entries, the options it is given and its identity.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "compiler/toolchain/nvrtc_search.h"
#include "streamattn/target.h"

namespace streamattn {

using NvrtcProgram = struct NvrtcProgramState*;

/// nvrtcResult; nvrtcGetErrorString names the others.
enum class NvrtcResult : int { success = 0 };

/// Entries of a loaded NVRTC under its own names, none of them null. Calls on different programs
/// may run at the same time.
struct Nvrtc {
  std::string path;
  CudaVersion version = 0;

  NvrtcResult (*nvrtcVersion)(int* major, int* minor);
  NvrtcResult (*nvrtcGetNumSupportedArchs)(int* count);
  NvrtcResult (*nvrtcGetSupportedArchs)(int* archs);
  const char* (*nvrtcGetErrorString)(NvrtcResult result);
  NvrtcResult (*nvrtcCreateProgram)(NvrtcProgram* program, const char* source, const char* name,
                                    int header_count, const char* const* headers,
                                    const char* const* header_names);
  NvrtcResult (*nvrtcDestroyProgram)(NvrtcProgram* program);
  NvrtcResult (*nvrtcCompileProgram)(NvrtcProgram program, int count, const char* const* options);
  NvrtcResult (*nvrtcGetProgramLogSize)(NvrtcProgram program, std::size_t* bytes);
  NvrtcResult (*nvrtcGetProgramLog)(NvrtcProgram program, char* log);
  NvrtcResult (*nvrtcGetCUBINSize)(NvrtcProgram program, std::size_t* bytes);
  NvrtcResult (*nvrtcGetCUBIN)(NvrtcProgram program, char* cubin);
};

/// Looks for NVRTC and loads the first usable one for good. Throws Error (nvrtc_missing) with the
/// verdict on every place.
Nvrtc load_nvrtc();

/// The one NVRTC of this process, loaded by the first call that finds a usable one.
const Nvrtc& nvrtc();

/// What identifies the compiler for the cache: release and build-ids of NVRTC and its builtins,
/// never a path. Reads files; loads nothing. Throws Error (nvrtc_missing).
const std::string& compiler_identity();

/// The options every kernel for `target` is compiled with by an NVRTC of `version`, in canonical
/// order.
std::vector<std::string> compile_options(const Target& target, CudaVersion version);

/// The same for the NVRTC of compiler_identity().
std::vector<std::string> compile_options(const Target& target);

}  // namespace streamattn

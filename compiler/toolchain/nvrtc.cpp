// Choosing, loading and identifying NVRTC.
#include "compiler/toolchain/nvrtc.h"

#include <dlfcn.h>

#include <algorithm>

#include <llvm/Support/FormatVariadic.h>

#include "streamattn/compiler.h"
#include "streamattn/error.h"
#include "support/files.h"

namespace streamattn {
namespace {

[[noreturn]] void throw_missing(const std::vector<NvrtcCandidate>& candidates) {
  std::string message = "no usable NVRTC; looked at";
  for (const NvrtcCandidate& candidate : candidates) {
    message += "\n  " + candidate.path + ": " + candidate.verdict;
  }
  throw Error(ErrorCode::nvrtc_missing,
              message +
                  "\ninstall the CUDA toolkit or `pip install nvidia-cuda-nvrtc`, or set "
                  "STREAMATTN_NVRTC to the folder of libnvrtc.so");
}

bool supports_hopper(const Nvrtc& nvrtc) {
  int count = 0;
  if (nvrtc.nvrtcGetNumSupportedArchs(&count) != NvrtcResult::success) return false;
  std::vector<int> archs(static_cast<std::size_t>(count));
  if (nvrtc.nvrtcGetSupportedArchs(archs.data()) != NvrtcResult::success) return false;
  return std::ranges::find(archs, 90) != archs.end();
}

/// Fills in the entries; returns the name of the first that is missing.
const char* resolve_entries(Nvrtc& nvrtc, void* handle) {
  const char* missing = nullptr;
  const auto resolve = [&](auto& entry, const char* name) {
    entry = reinterpret_cast<std::remove_reference_t<decltype(entry)>>(dlsym(handle, name));
    if (!entry && !missing) missing = name;
  };
#define RESOLVE(name) resolve(nvrtc.name, #name)
  RESOLVE(nvrtcVersion);
  RESOLVE(nvrtcGetNumSupportedArchs);
  RESOLVE(nvrtcGetSupportedArchs);
  RESOLVE(nvrtcGetErrorString);
  RESOLVE(nvrtcCreateProgram);
  RESOLVE(nvrtcDestroyProgram);
  RESOLVE(nvrtcCompileProgram);
  RESOLVE(nvrtcGetProgramLogSize);
  RESOLVE(nvrtcGetProgramLog);
  RESOLVE(nvrtcGetCUBINSize);
  RESOLVE(nvrtcGetCUBIN);
#undef RESOLVE
  return missing;
}

/// Loads NVRTC from `files`, which look right. Returns what is wrong after all; empty if nothing
/// is.
std::string load(Nvrtc& nvrtc, const NvrtcFiles& files) {
  // NVRTC opens its builtins by bare name, which works only on the loader path; one that is loaded
  // already is found under any path.
  if (!dlopen(files.builtins.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    return llvm::formatv("its builtins cannot be loaded: {0}", dlerror());
  }
  void* handle = dlopen(files.path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) return llvm::formatv("cannot be loaded: {0}", dlerror());
  if (const char* missing = resolve_entries(nvrtc, handle)) {
    return llvm::formatv("has no {0}", missing);
  }
  int major = 0;
  int minor = 0;
  nvrtc.nvrtcVersion(&major, &minor);
  nvrtc.version = major * 1000 + minor * 10;
  nvrtc.path = files.path;
  if (nvrtc.version != files.version) {
    return llvm::formatv("is {0}, but its builtins are {1}", version_text(nvrtc.version),
                         version_text(files.version));
  }
  if (!supports_hopper(nvrtc)) return "cannot compile for sm_90a";
  return {};
}

/// The NVRTC that compile() will use, as far as files tell. Where one looks right but cannot be
/// loaded, kernels of the next one are remembered under the identity of this one: it is damaged, so
/// no other kernels can have that identity.
const NvrtcFiles& chosen_files() {
  static const NvrtcFiles chosen = [] {
    std::vector<NvrtcCandidate> candidates;
    for (const NvrtcFiles& files : search_nvrtc(NvrtcSearch::first_usable)) {
      if (files.complaint.empty()) return files;
      candidates.push_back({files.path, files.complaint});
    }
    throw_missing(candidates);
  }();
  return chosen;
}

}  // namespace

Nvrtc load_nvrtc() {
  std::vector<NvrtcCandidate> candidates;
  for (const NvrtcFiles& files : search_nvrtc()) {
    Nvrtc nvrtc{};
    const std::string complaint = files.complaint.empty() ? load(nvrtc, files) : files.complaint;
    if (complaint.empty()) return nvrtc;
    candidates.push_back({files.path, complaint});
  }
  throw_missing(candidates);
}

const Nvrtc& nvrtc() {
  static const Nvrtc loaded = load_nvrtc();
  return loaded;
}

const std::string& compiler_identity() {
  static const std::string identity = [] {
    const NvrtcFiles& files = chosen_files();
    return llvm::formatv("nvrtc {0} {1}, builtins {2}", version_text(files.version),
                         file_identity(files.path).value_or("unreadable"),
                         file_identity(files.builtins).value_or("unreadable"))
        .str();
  }();
  return identity;
}

std::vector<std::string> compile_options(const Target& target, CudaVersion version) {
  std::vector<std::string> options = {
      "--gpu-architecture=" + std::string(target.name),
      "--std=c++20",
      "--ptxas-options=-v",          // registers, spills and wgmma advisories into the log
      "--no-source-include",         // else a quoted include is looked up in the working directory
      "--modify-stack-limit=false",  // else NVRTC raises the stack limit of the whole process
  };
  // NVRTC's own cache would hide what a compile costs and write below the user's home. 12.9 has it.
  if (version >= 12090) options.push_back("--no-cache");
  return options;
}

std::vector<std::string> compile_options(const Target& target) {
  return compile_options(target, chosen_files().version);
}

std::vector<NvrtcCandidate> find_nvrtc() {
  std::vector<NvrtcCandidate> candidates;
  for (const NvrtcFiles& files : search_nvrtc()) {
    Nvrtc nvrtc{};
    const std::string complaint = files.complaint.empty() ? load(nvrtc, files) : files.complaint;
    const bool usable = complaint.empty();
    candidates.push_back(
        {files.path, usable ? "ok: NVRTC " + version_text(nvrtc.version) : complaint, usable});
  }
  return candidates;
}

}  // namespace streamattn

// From emitted source to a checked cubin, in process with NVRTC.
#include <chrono>
#include <vector>

#include <llvm/Support/FormatVariadic.h>

#include "compiler/toolchain/cubin.h"
#include "compiler/toolchain/nvrtc.h"
#include "compiler/toolchain/ptxas_log.h"
#include "streamattn/compiler.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

/// Part of the kernel's identity: it reaches the names of internal symbols.
constexpr const char* program_name = "streamattn.cu";

/// One NVRTC program, destroyed with its owner.
class NvrtcCompile {
 public:
  explicit NvrtcCompile(const std::string& text) {
    require(nvrtc_.nvrtcCreateProgram(&program_, text.c_str(), program_name, 0, nullptr, nullptr),
            "creating a program");
  }
  NvrtcCompile(const NvrtcCompile&) = delete;
  ~NvrtcCompile() { nvrtc_.nvrtcDestroyProgram(&program_); }

  NvrtcResult compile(const std::vector<std::string>& options) {
    std::vector<const char*> arguments;
    for (const std::string& option : options) arguments.push_back(option.c_str());
    return nvrtc_.nvrtcCompileProgram(program_, static_cast<int>(arguments.size()),
                                      arguments.data());
  }

  std::string log() const {
    // Ends with a NUL, which is no part of it.
    return text_of(nvrtc_.nvrtcGetProgramLogSize, nvrtc_.nvrtcGetProgramLog, "fetching the log")
        .c_str();
  }

  std::string cubin() const {
    return text_of(nvrtc_.nvrtcGetCUBINSize, nvrtc_.nvrtcGetCUBIN, "fetching the cubin");
  }

  const char* name(NvrtcResult result) const { return nvrtc_.nvrtcGetErrorString(result); }

  CudaVersion version() const { return nvrtc_.version; }

  std::string release() const { return "NVRTC " + version_text(version()); }

  void require(NvrtcResult result, const char* what) const {
    if (result == NvrtcResult::success) return;
    throw Error(ErrorCode::compile_failed, llvm::formatv("{0} failed at {1}: {2}", release(), what,
                                                         nvrtc_.nvrtcGetErrorString(result)));
  }

 private:
  std::string text_of(NvrtcResult (*size_of)(NvrtcProgram, std::size_t*),
                      NvrtcResult (*fetch)(NvrtcProgram, char*), const char* what) const {
    std::size_t bytes = 0;
    require(size_of(program_, &bytes), what);
    std::string text(bytes, '\0');
    require(fetch(program_, text.data()), what);
    return text;
  }

  const Nvrtc& nvrtc_ = nvrtc();
  NvrtcProgram program_ = nullptr;
};

/// Why `source` did not compile. With -v the log has no errors of ptxas, of all things, so a log
/// without any is asked for once more without it.
std::string reason(const std::string& log, const Source& source, std::vector<std::string> options) {
  std::string errors = first_errors(log);
  if (!errors.empty()) return errors;
  std::erase(options, "--ptxas-options=-v");
  NvrtcCompile terse(source.flat);
  terse.compile(options);
  return terse.log();
}

}  // namespace

Binary compile(const Source& source) {
  const std::size_t nul = source.flat.find('\0');
  if (nul != std::string::npos) {
    // NVRTC would compile what is in front of it without a word.
    throw Error(ErrorCode::compile_failed,
                llvm::formatv("the source has a NUL byte at offset {0}", nul));
  }
  const auto begin = std::chrono::steady_clock::now();
  NvrtcCompile program(source.flat);
  const Target& target = find_target(source.target);
  if (program.version() < target.min_nvrtc)
    throw Error(ErrorCode::nvrtc_missing,
                llvm::formatv("{0} is too old for {1}, which needs {2}", program.release(),
                              target.name, version_text(target.min_nvrtc)));
  const std::vector<std::string> options = compile_options(target, program.version());
  const NvrtcResult result = program.compile(options);
  const std::string log = program.log();
  if (result != NvrtcResult::success) {
    throw Error(ErrorCode::compile_failed,
                llvm::formatv("{0} refused the source ({1}):\n{2}", program.release(),
                              program.name(result), reason(log, source, options)));
  }
  PtxasReport report = parse_ptxas_log(log, source.entry);
  Binary binary{.cubin = program.cubin(),
                .resources = report.resources,
                .advisories = std::move(report.advisories)};
  binary.resources.dynamic_smem_bytes = source.dynamic_smem_bytes;
  if (const std::string complaint = cubin_complaint(binary.cubin, source.entry);
      !complaint.empty()) {
    throw Error(
        ErrorCode::compile_failed,
        llvm::formatv("{0} made a cubin that cannot be used: {1}", program.release(), complaint));
  }
  binary.compile_milliseconds =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  return binary;
}

}  // namespace streamattn

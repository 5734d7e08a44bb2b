// Calling the host compiler.
#include "emulator/host_kernel.h"

#include <dlfcn.h>
#include <llvm/ADT/ScopeExit.h>
#include <llvm/Support/FormatVariadic.h>
#include <llvm/Support/Program.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "compiler/toolchain/flatten.h"
#include "emulator/embedded_ptx.h"
#include "streamattn/error.h"
#include "support/environment.h"

namespace streamattn::emulator {
namespace {

namespace fs = std::filesystem;

// -O1 is the fastest way to a result on short sequences. Sums must not be contracted or reordered:
// where the device fuses, the templates say so.
constexpr llvm::StringRef flags[] = {"-x",
                                     "c++",
                                     "-std=c++20",
                                     "-O1",
                                     "-w",
                                     "-shared",
                                     "-fPIC",
                                     "-fvisibility=hidden",
                                     "-ffp-contract=off",
                                     "-fno-strict-aliasing"};

std::string find_compiler() {
  if (const auto named = environment("STREAMATTN_HOST_CXX")) {
    if (auto found = llvm::sys::findProgramByName(*named)) return *found;
    throw Error(ErrorCode::compile_failed, "STREAMATTN_HOST_CXX is " + *named +
                                               ", which is no program; a C++ compiler is needed");
  }
  for (const char* name : {"c++", "g++", "clang++"})
    if (auto found = llvm::sys::findProgramByName(name)) return *found;
  throw Error(ErrorCode::compile_failed,
              "no host compiler to emulate with: c++, g++ or clang++ on the path or "
              "STREAMATTN_HOST_CXX is needed");
}

fs::path new_folder() {
  std::string name = fs::temp_directory_path() / "streamattn-emulated-XXXXXX";
  if (mkdtemp(name.data()) == nullptr)
    throw Error(ErrorCode::compile_failed, "cannot make a folder " + name);
  return name;
}

std::string read(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

void compile(const fs::path& source, const fs::path& library) {
  const std::string compiler = find_compiler(), log = library.string() + ".log";
  std::vector<llvm::StringRef> arguments = {compiler};
  arguments.insert(arguments.end(), std::begin(flags), std::end(flags));
  arguments.insert(arguments.end(), {source.native(), "-o", library.native()});
  std::string problem;
  const std::optional<llvm::StringRef> redirects[] = {llvm::StringRef(""), llvm::StringRef(log),
                                                      llvm::StringRef(log)};
  if (llvm::sys::ExecuteAndWait(compiler, arguments, {}, redirects, 0, 0, &problem) != 0)
    throw Error(ErrorCode::compile_failed, llvm::formatv("{0} refused the emitted source: {1}{2}",
                                                         compiler, problem, read(log)));
}

}  // namespace

HostKernel::HostKernel(const Source& source, std::span<const EmbeddedFile> instead) {
  std::vector<EmbeddedFile> overlay(instead.begin(), instead.end());
  overlay.insert(overlay.end(), embedded_ptx().begin(), embedded_ptx().end());
  const fs::path folder = new_folder();
  auto remove = llvm::make_scope_exit([&] {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  });
  std::ofstream(folder / "kernel.cpp") << flatten(source.text, {}, overlay);
  compile(folder / "kernel.cpp", folder / "kernel.so");

  library_ = {dlopen((folder / "kernel.so").c_str(), RTLD_NOW | RTLD_LOCAL), [](void* library) {
                if (library) dlclose(library);
              }};
  if (!library_) throw Error(ErrorCode::load_failed, dlerror());
  auto symbol = [&](const std::string& name) {
    void* found = dlsym(library_.get(), name.c_str());
    if (!found) throw Error(ErrorCode::load_failed, "the compiled source has no " + name);
    return found;
  };
  set_machine_ = reinterpret_cast<void (*)(Machine*)>(symbol("streamattn_set_machine"));
  entry_ = symbol(source.entry);
}

}  // namespace streamattn::emulator

// Calling the host compiler.
#include "emulator/host_kernel.h"

#include <dlfcn.h>
#include <link.h>
#include <llvm/ADT/ScopeExit.h>
#include <llvm/ADT/SmallVector.h>
#include <llvm/ADT/StringExtras.h>
#include <llvm/Support/FormatVariadic.h>
#include <llvm/Support/Program.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
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

// ---- The text

// What is put behind the emitted text: the entry, for a host that knows no parameter type.
std::string wrapper(const std::string& entry) {
  return "\nnamespace streamattn::emulator {\n"
         "template <class P>\n"
         "void call_with(void (*kernel)(P), const void* bytes) {\n"
         "  kernel(*static_cast<const P*>(bytes));\n"
         "}\n"
         "template <class P>\n"
         "constexpr unsigned parameter_bytes(void (*)(P)) { return sizeof(P); }\n"
         "}  // namespace streamattn::emulator\n"
         "extern \"C\" __global__ void streamattn_run(const void* bytes) {\n"
         "  streamattn::emulator::call_with(" +
         entry +
         ", bytes);\n}\n"
         "extern \"C\" __global__ unsigned streamattn_parameter_bytes() {\n"
         "  return streamattn::emulator::parameter_bytes(" +
         entry + ");\n}\n";
}

// The host compiler would give every thread an array of its own.
void refuse_static_shared(llvm::StringRef text) {
  for (std::size_t at = 0; (at = text.find("__shared__", at)) != text.npos; at++) {
    llvm::StringRef line = text.substr(0, text.find_first_of(";\n", at));
    line = line.substr(line.find_last_of("\n;{}") + 1).trim();
    if (line.contains("extern") || line[0] == '#' || line[0] == '/') continue;
    throw Error(ErrorCode::compile_failed,
                llvm::formatv("\"{0}\": static shared memory, which the emulator does not model; "
                              "kernels use dynamic shared memory",
                              line));
  }
}

LaunchBounds launch_bounds(llvm::StringRef text) {
  LaunchBounds bounds;
  llvm::StringRef list = text.split("__launch_bounds__(").second;
  list = list.take_until([](char c) { return c == ')'; });
  auto [threads, blocks] = list.split(',');
  threads.trim().getAsInteger(10, bounds.threads);
  blocks.trim().getAsInteger(10, bounds.blocks);
  return bounds;
}

// ---- The compiler

// The program and its first arguments: "ccache g++" is two words.
std::vector<std::string> find_compiler() {
  if (const auto named = environment("STREAMATTN_HOST_CXX")) {
    llvm::SmallVector<llvm::StringRef> words;
    llvm::StringRef(*named).split(words, ' ', -1, /*KeepEmpty=*/false);
    std::vector<std::string> command(words.begin(), words.end());
    const auto found =
        command.empty() ? std::error_code() : llvm::sys::findProgramByName(command[0]);
    if (!found)
      throw Error(ErrorCode::compile_failed, "STREAMATTN_HOST_CXX is " + *named +
                                                 ", which is no program; a C++ compiler is needed");
    command[0] = *found;
    return command;
  }
  for (const char* name : {"c++", "g++", "clang++"})
    if (auto found = llvm::sys::findProgramByName(name)) return {*found};
  throw Error(ErrorCode::compile_failed,
              "no host compiler to emulate with: c++, g++ or clang++ on the path or "
              "STREAMATTN_HOST_CXX is needed");
}

// ---- The folder to compile in

constexpr std::string_view folder_prefix = "streamattn-emulated-";

fs::path temporary_folder() {
  std::error_code failure;
  fs::path folder = fs::temp_directory_path(failure);
  if (failure)
    throw Error(ErrorCode::compile_failed, "no temporary folder to compile in: TMPDIR is " +
                                               environment("TMPDIR").value_or("not set") + " (" +
                                               failure.message() + ")");
  return folder;
}

// Folders of processes that were killed. A compile takes seconds, so what is an hour old is left
// over.
void sweep(const fs::path& temporary) {
  std::error_code ignored;
  for (fs::directory_iterator i(temporary, ignored), end; !ignored && i != end;
       i.increment(ignored)) {
    if (!i->path().filename().native().starts_with(folder_prefix)) continue;
    const auto written = i->last_write_time(ignored);
    if (!ignored && fs::file_time_type::clock::now() - written > std::chrono::hours(1))
      fs::remove_all(i->path(), ignored);
    ignored.clear();
  }
}

fs::path new_folder() {
  const fs::path temporary = temporary_folder();
  sweep(temporary);
  std::string name = temporary / (std::string(folder_prefix) + "XXXXXX");
  if (mkdtemp(name.data()) == nullptr)
    throw Error(ErrorCode::compile_failed,
                "cannot make the folder " + name + ": " + std::strerror(errno));
  return name;
}

std::string read(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write(const fs::path& path, const std::string& text) {
  std::ofstream out(path);
  out << text;
  out.close();
  if (!out)
    throw Error(ErrorCode::compile_failed,
                "cannot write " + path.native() + ": " + std::strerror(errno));
}

void compile(const fs::path& source, const fs::path& library) {
  const std::vector<std::string> command = find_compiler();
  const std::string log = library.string() + ".log";
  std::vector<llvm::StringRef> arguments(command.begin(), command.end());
  arguments.insert(arguments.end(), std::begin(flags), std::end(flags));
  arguments.insert(arguments.end(), {source.native(), "-o", library.native()});
  std::string problem;
  const std::optional<llvm::StringRef> redirects[] = {llvm::StringRef(""), llvm::StringRef(log),
                                                      llvm::StringRef(log)};
  if (llvm::sys::ExecuteAndWait(command[0], arguments, {}, redirects, 0, 0, &problem) != 0)
    throw Error(ErrorCode::compile_failed,
                llvm::formatv("{0} refused the emitted source: {1}{2}", llvm::join(command, " "),
                              problem, read(log)));
}

// ---- The library

struct Part {
  const char* inside;
  std::span<const char> found;
};

// Where the instructions of the library are that `entry` belongs to.
std::span<const char> text_around(const void* entry) {
  Part part{static_cast<const char*>(entry), {}};
  dl_iterate_phdr(
      [](dl_phdr_info* library, std::size_t, void* data) {
        auto& wanted = *static_cast<Part*>(data);
        for (int i = 0; i < library->dlpi_phnum; i++) {
          const auto& header = library->dlpi_phdr[i];
          const auto* begin = reinterpret_cast<const char*>(library->dlpi_addr + header.p_vaddr);
          if (header.p_type == PT_LOAD && wanted.inside >= begin &&
              wanted.inside < begin + header.p_memsz)
            wanted.found = {begin, header.p_memsz};
        }
        return 0;
      },
      &part);
  return part.found;
}

}  // namespace

int LaunchBounds::registers() const { return std::min(65536 / (threads * blocks) / 8 * 8, 256); }

HostKernel::HostKernel(const Source& source, std::span<const EmbeddedFile> instead)
    : source_(source), bounds_(launch_bounds(source.text)) {
  std::vector<EmbeddedFile> overlay(instead.begin(), instead.end());
  overlay.insert(overlay.end(), embedded_ptx().begin(), embedded_ptx().end());
  const std::string text = flatten(source.text, {}, overlay);
  refuse_static_shared(text);
  const fs::path folder = new_folder();
  auto remove = llvm::make_scope_exit([&] {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  });
  write(folder / "kernel.cpp", text + wrapper(source.entry));
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
  run_ = reinterpret_cast<void (*)(const void*)>(symbol("streamattn_run"));
  check(reinterpret_cast<unsigned (*)()>(symbol("streamattn_parameter_bytes"))());
  text_ = text_around(symbol("streamattn_run"));
}

void HostKernel::check(std::size_t parameter_bytes) const {
  auto refuse = [&](const std::string& what) {
    throw Error(ErrorCode::load_failed, source_.entry + " " + what);
  };
  if (parameter_bytes != source_.parameter_bytes)
    refuse(llvm::formatv("takes {0} bytes of parameters, this library passes {1}", parameter_bytes,
                         source_.parameter_bytes));
  if (source_.threads > bounds_.threads)
    refuse(llvm::formatv("is launched with {0} threads, its __launch_bounds__ allow {1}",
                         source_.threads, bounds_.threads));
}

GridLaunch HostKernel::launch(unsigned blocks, const void* parameters, bool dependent) const {
  return {.kernel = source_.entry,
          .code = {set_machine_, [run = run_, parameters] { run(parameters); }, text_},
          .grid = {blocks, 1, 1},
          .threads = source_.threads,
          .smem_bytes = source_.dynamic_smem_bytes,
          .registers = bounds_.registers(),
          .blocks_per_multiprocessor = source_.blocks_per_multiprocessor,
          .cluster = source_.cluster,
          .dependent = dependent};
}

}  // namespace streamattn::emulator

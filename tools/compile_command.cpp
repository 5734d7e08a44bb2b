// `streamattn compile`: compiles a problem and shows what the kernel takes.
#include <llvm/Support/FormatVariadic.h>

#include "compiler/toolchain/nvrtc.h"
#include "runtime/cache/kernel_key.h"
#include "tools/call_json.h"
#include "tools/output_file.h"
#include "tools/tool.h"

namespace streamattn {
namespace {

struct CompiledKernel {
  std::string entry, key;
  Binary binary;
};

struct Compiled {
  ForwardCase call;
  Schedule schedule;
  std::vector<CompiledKernel> kernels;
};

Compiled compile_call(const ForwardCase& call, const ScheduleFlags& flags) {
  const Target& target = find_target(*flags.target);
  Compiled compiled{
      .call = call,
      .schedule = overridden_schedule(call, target, flags.pin_rows(), flags.only_override())};
  for (const Source& source : emit(call.operation, call.problem, compiled.schedule, target))
    compiled.kernels.push_back(
        {.entry = source.entry,
         .key = kernel_key(source, compile_options(target), compiler_identity()).text(),
         .binary = compile(source)});
  return compiled;
}

/// The binary to `path`, or each of several to `path` and the kernel's name.
void write_cubins(const Compiled& compiled, const std::string& path) {
  for (const CompiledKernel& kernel : compiled.kernels)
    write_file(compiled.kernels.size() == 1 ? path : path + "." + kernel.entry,
               kernel.binary.cubin);
}

void print(const CompiledKernel& kernel, llvm::raw_ostream& out) {
  const Binary& binary = kernel.binary;
  const Resources& resources = binary.resources;
  out << "kernel          " << kernel.entry << "\n";
  out << "registers       " << resources.registers << " a thread at launch\n";
  out << "shared memory   " << resources.dynamic_smem_bytes + resources.static_smem_bytes
      << " bytes\n";
  out << "spills          " << resources.spill_store_bytes << " bytes stored, "
      << resources.spill_load_bytes << " loaded, " << resources.stack_bytes << " of stack\n";
  out << "cubin           " << binary.cubin.size() << " bytes\n";
  out << llvm::formatv("compiled in     {0:f0} ms\n", binary.compile_milliseconds);
  out << "key             " << kernel.key << "\n";
  for (const std::string& advisory : binary.advisories)
    out << "advisory        " << advisory << "\n";
}

void print(const Compiled& compiled, llvm::raw_ostream& out) {
  out << "problem         " << compiled.call.problem.describe() << "\n";
  out << "schedule        " << compiled.schedule.describe() << "\n";
  for (const CompiledKernel& kernel : compiled.kernels) print(kernel, out);
}

llvm::json::Object to_json(const CompiledKernel& kernel) {
  const Binary& binary = kernel.binary;
  const Resources& resources = binary.resources;
  return llvm::json::Object{{"entry", kernel.entry},
                            {"registers", resources.registers},
                            {"spill_store_bytes", resources.spill_store_bytes},
                            {"spill_load_bytes", resources.spill_load_bytes},
                            {"stack_bytes", resources.stack_bytes},
                            {"static_smem_bytes", resources.static_smem_bytes},
                            {"dynamic_smem_bytes", resources.dynamic_smem_bytes},
                            {"cubin_bytes", static_cast<std::int64_t>(binary.cubin.size())},
                            {"compile_milliseconds", binary.compile_milliseconds},
                            {"key", kernel.key},
                            {"advisories", llvm::json::Array(binary.advisories)}};
}

llvm::json::Object to_json(const Compiled& compiled) {
  llvm::json::Array kernels;
  for (const CompiledKernel& kernel : compiled.kernels) kernels.push_back(to_json(kernel));
  return llvm::json::Object{{"problem", to_json(compiled.call)},
                            {"schedule", compiled.schedule.describe()},
                            {"kernels", std::move(kernels)}};
}

}  // namespace

Exit compile_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) {
  ProblemFlags problem;
  ScheduleFlags schedule{.target = "sm_90a"};
  std::optional<std::string> cubin;
  bool json = false;
  Flags flags(
      "compile [flags]",
      "Compiles the kernels that serve a problem and shows what it takes. Needs NVRTC but no\n"
      "GPU; always compiles, whatever the cache holds. The target is sm_90a unless --target\n"
      "says otherwise.");
  problem.add_to(flags);
  schedule.add_to(flags);
  flags.section("output");
  flags.add("cubin", "FILE", "write the binary; of several kernels each, to FILE.KERNEL", cubin);
  flags.add("json", "print JSON", json);
  if (!flags.parse(args, out)) return Exit::ok;

  const Compiled compiled = compile_call(problem.call(), schedule);
  if (cubin) write_cubins(compiled, *cubin);
  if (json) {
    out << llvm::formatv("{0:2}\n", llvm::json::Value(to_json(compiled)));
  } else {
    print(compiled, out);
  }
  return Exit::ok;
}

}  // namespace streamattn

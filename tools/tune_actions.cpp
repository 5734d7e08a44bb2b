// `streamattn tune export`, `install` and `worker`.
#include <iostream>
#include <memory>
#include <optional>

#include "autotune/kernel_bundle.h"
#include "autotune/local_device.h"
#include "autotune/worker.h"
#include "streamattn/error.h"
#include "tools/timing_flags.h"
#include "tools/tune_command.h"

namespace streamattn {

Exit tune_export_action(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) {
  std::string rows, folder;
  Flags flags("tune export --rows FILE --to DIR",
              "Writes the rows and every kernel that they need to a folder, for machines that\n"
              "should start without compiling. Needs NVRTC, the one that they have; no GPU.");
  flags.add("rows", "FILE", "rows that `streamattn tune` wrote", rows);
  flags.add("to", "DIR", "the folder", folder);
  if (!flags.parse(args, out)) return Exit::ok;
  if (rows.empty() || folder.empty())
    throw Error(ErrorCode::invalid_config, "tune export needs --rows FILE and --to DIR");
  const BundleCount count = export_bundle(rows, folder);
  out << count.kernels << " kernels, " << count.fresh << " of them compiled for it\n";
  return Exit::ok;
}

Exit tune_install_action(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) {
  std::string folder, rows;
  Flags flags("tune install --from DIR --rows FILE",
              "Puts the kernels of an exported folder into the kernel cache and its rows into a\n"
              "file, for JitOptions::pins and --pin.");
  flags.add("from", "DIR", "the folder", folder);
  flags.add("rows", "FILE", "where the rows go", rows);
  if (!flags.parse(args, out)) return Exit::ok;
  if (rows.empty() || folder.empty())
    throw Error(ErrorCode::invalid_config, "tune install needs --from DIR and --rows FILE");
  const BundleCount count = install_bundle(folder, rows);
  out << count.kernels << " kernels, " << count.fresh << " of them new in the cache\n";
  return Exit::ok;
}

Exit tune_worker_action(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) {
  std::string target = "cpu";
  std::optional<int> device;
  TimingWish timing;
  Flags flags("tune worker [flags]",
              "Builds, checks and times what it reads on standard input, for `streamattn tune`.");
  flags.add("target", "sm_90a|cpu", "where to run", target);
  flags.add("device", "N", "CUDA ordinal", device);
  add_timing_flags(flags, timing);
  if (!flags.parse(args, out)) return Exit::ok;
  serve_worker(
      find_target(target),
      [&]() -> std::unique_ptr<TuneDevice> {
        return std::make_unique<LocalDevice>(JitOptions{.target = target, .device = device},
                                             timing);
      },
      std::cin, out);
  return Exit::ok;
}

}  // namespace streamattn

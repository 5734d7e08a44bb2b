// `streamattn doctor`: what this machine has, what it lacks and how to get it.
#include <hwy/targets.h>
#include <llvm/ADT/STLExtras.h>
#include <llvm/Support/FormatVariadic.h>

#include <cerrno>
#include <thread>

#include "compiler/toolchain/nvrtc_search.h"
#include "runtime/cache/directory.h"
#include "runtime/cache/kernel_cache.h"
#include "runtime/gpu/driver.h"
#include "streamattn/jit.h"
#include "tools/flags.h"
#include "tools/tool.h"

namespace streamattn {
namespace {

/// Whether what was looked at is as it should be.
enum class Health { good, lacking };

int attribute(CUdevice device, CUdevice_attribute which) {
  int value = 0;
  check(driver().cuDeviceGetAttribute(&value, which, device), "reading a device attribute");
  return value;
}

Health report_device(int ordinal, llvm::raw_ostream& out) {
  CUdevice device = 0;
  check(driver().cuDeviceGet(&device, ordinal), "looking up a device");
  char name[256] = {};
  check(driver().cuDeviceGetName(name, sizeof name - 1, device), "naming a device");
  std::size_t memory = 0;
  check(driver().cuDeviceTotalMem(&memory, device), "reading the size of a device's memory");
  const int major = attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
  const int minor = attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  const bool served = major == 9 && minor == 0;
  out << llvm::formatv(
      "  device {0}: {1}, compute capability {2}.{3}, {4} multiprocessors, {5} GiB{6}\n", ordinal,
      llvm::StringRef(name), major, minor,
      attribute(device, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT), memory >> 30,
      served ? "" : "; no kernel family serves it, 9.0 is needed");
  return served ? Health::good : Health::lacking;
}

Health report_gpus(llvm::raw_ostream& out) {
  out << "GPU\n";
  try {
    int version = 0, count = 0;
    check(driver().cuDriverGetVersion(&version), "reading the driver's version");
    check(driver().cuDeviceGetCount(&count), "counting devices");
    out << "  driver for CUDA " << version_text(version) << "\n";
    Health health = Health::lacking;
    for (int ordinal = 0; ordinal < count; ++ordinal) {
      if (report_device(ordinal, out) == Health::good) health = Health::good;
    }
    return health;
  } catch (const Error& error) {
    out << "  " << error.what() << "\n";
    return Health::lacking;
  }
}

Health report_nvrtc(llvm::raw_ostream& out) {
  out << "NVRTC, in the order in which it is looked for\n";
  bool used = false;
  for (const NvrtcCandidate& candidate : find_nvrtc()) {
    const bool first = candidate.usable && !used;
    used = used || first;
    out << (first ? "  * " : "    ") << candidate.path << ": " << candidate.verdict << "\n";
  }
  if (used) return Health::good;
  out << "  none is usable: install the CUDA toolkit 12.3 or newer, or `pip install\n"
         "  nvidia-cuda-nvrtc`, or set STREAMATTN_NVRTC to the libnvrtc.so to use\n";
  return Health::lacking;
}

Health report_cache(llvm::raw_ostream& out) {
  out << "kernel cache\n";
  const std::filesystem::path root = cache_options().directory;
  if (root.empty()) {
    out << "  off: set STREAMATTN_CACHE_DIR or HOME to keep kernels between processes\n";
    return Health::good;
  }
  const CacheDirectory::Opened opened = CacheDirectory::open(root, /*create=*/false);
  out << "  " << root.string() << ": ";
  if (opened.directory) {
    out << opened.directory->entries().size() << " kernels\n";
  } else if (opened.error == ENOENT) {
    out << "empty so far\n";
  } else {
    out << opened.problem << "\n";
    return Health::lacking;
  }
  return Health::good;
}

void report_cpu(llvm::raw_ostream& out) {
  const std::int64_t targets = hwy::SupportedTargets();
  out << "CPU\n  " << std::thread::hardware_concurrency() << " threads, vectors "
      << hwy::TargetName(targets & -targets) << "\n";  // the lowest bit is the best target
}

}  // namespace

Exit doctor_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) {
  Flags flags(
      "doctor",
      "Shows what this machine has, what it lacks and how to get it. Exits with 4 unless it\n"
      "can compile and run kernels on a GPU.");
  if (!flags.parse(args, out)) return Exit::ok;
  out << "streamattn " << version() << "\n";
  const Health all[] = {report_gpus(out), report_nvrtc(out), report_cache(out)};
  report_cpu(out);
  const bool good = llvm::all_of(all, [](Health health) { return health == Health::good; });
  out << (good ? "ready to compile and run on a GPU\n"
               : "the CPU target works; running on a GPU needs what is missing above\n");
  return good ? Exit::ok : Exit::environment;
}

}  // namespace streamattn

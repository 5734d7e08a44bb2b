// `streamattn doctor`: what this machine has, what it lacks and how to get it.
#include <llvm/ADT/STLExtras.h>
#include <llvm/Support/FormatVariadic.h>
#include <llvm/Support/JSON.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include "compiler/toolchain/nvrtc_search.h"
#include "runtime/cache/directory.h"
#include "runtime/cache/kernel_cache.h"
#include "runtime/cpu/tile.h"
#include "runtime/gpu/driver.h"
#include "streamattn/jit.h"
#include "support/environment.h"
#include "tools/flags.h"
#include "tools/tool.h"

namespace streamattn {
namespace {

struct Device {
  int ordinal = 0;
  std::string name;
  int major = 0, minor = 0;  // compute capability
  int multiprocessors = 0;
  std::size_t memory_bytes = 0;

  bool is_served() const { return major == 9 && minor == 0; }
};

struct Gpus {
  std::string driver;  // the CUDA version it is for
  std::vector<Device> devices;
  std::string problem;

  bool is_good() const {
    return problem.empty() && std::ranges::any_of(devices, &Device::is_served);
  }
};

struct Nvrtc {
  std::vector<NvrtcCandidate> candidates;

  const NvrtcCandidate* used() const {
    const auto found = llvm::find_if(candidates, [](const auto& c) { return c.usable; });
    return found == candidates.end() ? nullptr : &*found;
  }
};

struct Cache {
  std::string directory;  // empty: off
  std::size_t kernels = 0;
  std::string problem;
};

Device look_at_device(int ordinal) {
  CUdevice device = 0;
  check(driver().cuDeviceGet(&device, ordinal), "looking up a device");
  char name[256] = {};
  check(driver().cuDeviceGetName(name, sizeof name - 1, device), "naming a device");
  std::size_t memory = 0;
  check(driver().cuDeviceTotalMem(&memory, device), "reading the size of a device's memory");
  return {.ordinal = ordinal,
          .name = name,
          .major = device_attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR),
          .minor = device_attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR),
          .multiprocessors = device_attribute(device, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
          .memory_bytes = memory};
}

Gpus look_at_gpus() {
  Gpus gpus;
  try {
    int version = 0, count = 0;
    check(driver().cuDriverGetVersion(&version), "reading the driver's version");
    check(driver().cuDeviceGetCount(&count), "counting devices");
    gpus.driver = version_text(version);
    for (int ordinal = 0; ordinal < count; ++ordinal) {
      gpus.devices.push_back(look_at_device(ordinal));
    }
  } catch (const Error& error) {
    gpus.problem = error.what();
  }
  return gpus;
}

Cache look_at_cache() {
  const std::filesystem::path root = cache_options().directory;
  if (root.empty()) return {};
  const CacheDirectory::Opened opened = CacheDirectory::open(root, /*create=*/false);
  if (opened.directory) return {root.string(), opened.directory->entries().size(), ""};
  return {root.string(), 0, opened.error == ENOENT ? "" : opened.problem};
}

struct Report {
  Gpus gpus = look_at_gpus();
  Nvrtc nvrtc{find_nvrtc()};
  Cache cache = look_at_cache();
  unsigned threads = std::thread::hardware_concurrency();
  std::string vectors = vector_target();

  bool is_good() const { return gpus.is_good() && nvrtc.used() && cache.problem.empty(); }
};

void print(const Gpus& gpus, llvm::raw_ostream& out) {
  out << "GPU\n";
  if (!gpus.driver.empty()) out << "  driver for CUDA " << gpus.driver << "\n";
  for (const Device& device : gpus.devices) {
    out << llvm::formatv(
        "  device {0}: {1}, compute capability {2}.{3}, {4} multiprocessors, {5} GiB{6}\n",
        device.ordinal, device.name, device.major, device.minor, device.multiprocessors,
        device.memory_bytes >> 30,
        device.is_served() ? "" : "; no kernel family serves it, 9.0 is needed");
  }
  if (!gpus.problem.empty()) out << "  " << gpus.problem << "\n";
}

void print(const Nvrtc& nvrtc, llvm::raw_ostream& out) {
  out << "NVRTC, in the order in which it is looked for\n";
  for (const NvrtcCandidate& candidate : nvrtc.candidates) {
    out << (&candidate == nvrtc.used() ? "  * " : "    ") << candidate.path << ": "
        << candidate.verdict << "\n";
  }
  if (nvrtc.used()) return;
  out << "  none is usable: install the CUDA toolkit 12.3 or newer, or `pip install\n"
         "  nvidia-cuda-nvrtc`, or set STREAMATTN_NVRTC to the libnvrtc.so to use\n";
}

void print(const Cache& cache, llvm::raw_ostream& out) {
  out << "kernel cache\n";
  if (cache.directory.empty()) {
    out << "  off: set STREAMATTN_CACHE_DIR or HOME to keep kernels between processes\n";
  } else if (!cache.problem.empty()) {
    out << "  " << cache.directory << ": " << cache.problem << "\n";
  } else {
    out << "  " << cache.directory << ": " << cache.kernels << " kernels\n";
  }
}

void print(const Report& report, llvm::raw_ostream& out) {
  out << "streamattn " << version() << "\n";
  print(report.gpus, out);
  print(report.nvrtc, out);
  print(report.cache, out);
  out << "CPU\n  " << report.threads << " threads, vectors " << report.vectors << "\n";
  out << (report.is_good()
              ? "ready to compile and run on a GPU\n"
              : "the CPU target works; running on a GPU needs what is missing above\n");
}

llvm::json::Value to_json(const Gpus& gpus) {
  llvm::json::Array devices;
  for (const Device& device : gpus.devices) {
    devices.push_back(llvm::json::Object{
        {"ordinal", device.ordinal},
        {"name", device.name},
        {"compute_capability", llvm::formatv("{0}.{1}", device.major, device.minor).str()},
        {"multiprocessors", device.multiprocessors},
        {"memory_bytes", static_cast<std::int64_t>(device.memory_bytes)},
        {"served", device.is_served()}});
  }
  return llvm::json::Object{{"driver", gpus.driver},
                            {"devices", std::move(devices)},
                            {"problem", gpus.problem},
                            {"ok", gpus.is_good()}};
}

llvm::json::Value to_json(const Nvrtc& nvrtc) {
  llvm::json::Array candidates;
  for (const NvrtcCandidate& candidate : nvrtc.candidates) {
    candidates.push_back(llvm::json::Object{{"path", candidate.path},
                                            {"verdict", candidate.verdict},
                                            {"usable", candidate.usable},
                                            {"used", &candidate == nvrtc.used()}});
  }
  return llvm::json::Object{{"candidates", std::move(candidates)}, {"ok", nvrtc.used() != nullptr}};
}

llvm::json::Value to_json(const Report& report) {
  return llvm::json::Object{
      {"version", llvm::StringRef(version())},
      {"gpu", to_json(report.gpus)},
      {"nvrtc", to_json(report.nvrtc)},
      {"cache", llvm::json::Object{{"directory", report.cache.directory},
                                   {"kernels", static_cast<std::int64_t>(report.cache.kernels)},
                                   {"problem", report.cache.problem},
                                   {"ok", report.cache.problem.empty()}}},
      {"cpu", llvm::json::Object{{"threads", report.threads}, {"vectors", report.vectors}}},
      {"ok", report.is_good()}};
}

}  // namespace

Exit doctor_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) {
  bool json = false;
  Flags flags(
      "doctor [--json]",
      "Shows what this machine has, what it lacks and how to get it. Exits with 4 unless it\n"
      "can compile and run kernels on a GPU.");
  flags.add("json", "print JSON", json);
  if (!flags.parse(args, out)) return Exit::ok;
  warn_of_unknown_variables();
  const Report report;
  if (json) {
    out << llvm::formatv("{0:2}\n", to_json(report));
  } else {
    print(report, out);
  }
  return report.is_good() ? Exit::ok : Exit::environment;
}

}  // namespace streamattn

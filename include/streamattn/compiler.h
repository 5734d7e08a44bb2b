// The arrows from a problem to a binary: choose, emit, compile. Pure; no GPU, no driver.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "streamattn/export.h"
#include "streamattn/operation.h"
#include "streamattn/problem.h"
#include "streamattn/schedule.h"
#include "streamattn/schedule_table.h"
#include "streamattn/target.h"

namespace streamattn {

/// A schedule and why it was taken.
struct Choice {
  Schedule schedule;
  std::string reason;  ///< "row pins.toml:3", "first guess of flash_wgmma", "given by the caller"
};

/// Picks the schedule for `operation` of `problem` at `shape`: the first row of `table` that fits,
/// else the first guess of the first family that accepts the problem. Throws Error
/// (unsupported_problem) with every family's reason, or with that of the family of a row that fits,
/// (invalid_schedule) when the row that fits is not legal, (invalid_argument) for sizes that no
/// call can have. Rows shipped with the library fit only what they are legal for. With the name of
/// a `device`, rows tuned on another are passed over.
STREAMATTN_API Choice choose(Operation operation, const Problem& problem, const Shape& shape,
                             const Target& target,
                             const ScheduleTable& table = ScheduleTable::shipped(),
                             std::string_view device = {});

/// Every schedule some family would run `problem` with, best guess first. Empty if none would.
STREAMATTN_API std::vector<Schedule> schedules(Operation operation, const Problem& problem,
                                               const Shape& shape, const Target& target);

/// Throws Error (invalid_schedule) that says what was found and what is needed, unless `schedule`
/// can serve `operation` of `problem` on `target`.
STREAMATTN_API void check(Operation operation, const Problem& problem, const Schedule& schedule,
                          const Target& target);

/// Emitted CUDA source of one kernel, and all that a launch of it must know. Equal problem,
/// schedule and target give equal text; shapes never reach it.
struct Source {
  std::string text;         ///< the short file that names one skeleton and its policies
  std::string flat;         ///< the same with every template included: what is compiled and hashed
  std::string entry;        ///< the one extern "C" kernel
  std::string_view target;  ///< "sm_90a"
  int threads = 0;          ///< of a block
  int dynamic_smem_bytes = 0;         ///< of a block
  int blocks_per_multiprocessor = 1;  ///< that it is compiled to fit
  int cluster = 1;                    ///< blocks that launch as a cluster, along x
  std::size_t parameter_bytes = 0;    ///< of the one struct that it takes
};

/// What serves a problem: the kernels of its launches, in order. They compile independently, and
/// equal sources of different programs are one kernel.
using Program = std::vector<Source>;

/// Where device templates are read from: the library's own copy, or a folder (while developing).
struct EmitOptions {
  std::optional<std::filesystem::path> template_dir = {};
};

/// Throws Error (unsupported_problem, invalid_schedule), and (invalid_config) for a template that
/// is not in `template_dir`. The CPU target has no source: unsupported_problem.
STREAMATTN_API Program emit(Operation operation, const Problem& problem, const Schedule& schedule,
                            const Target& target, const EmitOptions& options = {});

/// What the compiler says of a kernel. Bytes are per thread for spills and stack.
struct Resources {
  int registers = 0;  ///< at launch
  int spill_store_bytes = 0;
  int spill_load_bytes = 0;
  int stack_bytes = 0;
  int static_smem_bytes = 0;
  int dynamic_smem_bytes = 0;  ///< asked for at launch
};

/// The same with the kernel's name.
struct KernelResources {
  std::string entry;
  Resources resources;
};

/// A compiled kernel for one architecture.
struct Binary {
  std::string cubin;
  Resources resources;
  std::vector<std::string> advisories;  ///< ptxas lines that cost speed, C7508 to C7519 and spills
  double compile_milliseconds = 0;
};

/// Compiles in process with NVRTC. Thread-safe. Throws Error (nvrtc_missing, compile_failed).
STREAMATTN_API Binary compile(const Source& source);

/// One place where NVRTC was looked for, in search order, and what was found there.
struct NvrtcCandidate {
  std::string path;
  std::string verdict;  ///< "ok: NVRTC 13.0", "missing", "too old: 12.0, 12.3 is needed"
  bool usable = false;
};

/// Looks everywhere; the first usable candidate is the one compile() uses.
STREAMATTN_API std::vector<NvrtcCandidate> find_nvrtc();

}  // namespace streamattn

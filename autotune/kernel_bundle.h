// Rows and the kernels that they need as a folder: one machine tunes, others start warm.
#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

#include "streamattn/operation.h"
#include "streamattn/problem.h"
#include "streamattn/schedule.h"
#include "streamattn/target.h"

namespace streamattn {

/// What a row's kernels are made of.
struct RowProgram {
  Operation operation;
  Problem problem;
  Schedule schedule;
  const Target* target;
};

/// The programs of all rows of the file. Throws Error (invalid_config) for a file that is no table,
/// and for a row that does not say every field of its problem, as a tuner's rows do.
std::vector<RowProgram> programs_of_rows(const std::filesystem::path& rows);

struct BundleCount {
  std::size_t kernels = 0;  ///< in the bundle
  std::size_t fresh = 0;    ///< compiled for it; when installing: new in the cache
};

/// Writes the rows to `folder`/rows.toml and every kernel that they need to `folder`/kernels, from
/// the kernel cache or compiled through it. The CPU's rows need none. Throws Error (nvrtc_missing,
/// compile_failed, invalid_config, cache_io).
BundleCount export_bundle(const std::filesystem::path& rows, const std::filesystem::path& folder);

/// Puts the kernels of a bundle into the kernel cache, each after its checksum was verified, and
/// then its rows in the place of the file `rows`, of which nobody reads half. Throws Error
/// (invalid_config) for a folder that is no bundle or is damaged, (cache_io, cache_refused).
BundleCount install_bundle(const std::filesystem::path& folder, const std::filesystem::path& rows);

}  // namespace streamattn

// Copies entries of the kernel cache out and in.
#include "autotune/kernel_bundle.h"

#include <cerrno>
#include <cstring>
#include <string>

#include <llvm/Support/FormatVariadic.h>

#include "compiler/field_values.h"
#include "compiler/schedule_rows.h"
#include "compiler/toml.h"
#include "compiler/toolchain/nvrtc.h"
#include "runtime/cache/directory.h"
#include "runtime/cache/entry.h"
#include "runtime/cache/kernel_cache.h"
#include "streamattn/compiler.h"
#include "streamattn/error.h"
#include "support/files.h"

namespace streamattn {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& path, const std::string& complaint) {
  throw Error(ErrorCode::invalid_config, path.native() + " " + complaint);
}

std::string read(const fs::path& path, std::size_t most_bytes) {
  FileContent file = read_regular_file(path, most_bytes);
  if (file.status != FileContent::Status::ok) fail(path, "cannot be read: " + file.problem);
  return std::move(file.bytes);
}

void write(const fs::path& path, const std::string& bytes) {
  if (const int error = replace_file(path, bytes); error != 0)
    fail(path, "cannot be written: " + std::string(std::strerror(error)));
}

RowProgram program_of(const ScheduleRow& row) {
  if (const std::string open = row.open_field(); !open.empty())
    throw Error(ErrorCode::invalid_config,
                llvm::formatv("{0}: the row leaves {1} open, so it has no one kernel; rows of "
                              "`streamattn tune` say every field",
                              row.origin, open));
  return {.operation = row.operation.value_or(Operation::forward),
          .problem = row.only_problem(),
          .schedule = row.schedule,
          .target = &find_target(row.target)};
}

std::shared_ptr<const CacheDirectory> open_cache() {
  const CacheOptions options = cache_options();
  if (options.directory.empty())
    throw Error(ErrorCode::cache_io,
                "there is no cache directory: none of STREAMATTN_CACHE_DIR, XDG_CACHE_HOME and "
                "HOME names one");
  CacheDirectory::Opened opened = CacheDirectory::open(options.directory, true);
  if (opened.directory) return std::move(opened.directory);
  throw Error(opened.error == EPERM ? ErrorCode::cache_refused : ErrorCode::cache_io,
              opened.problem);
}

/// The bytes of a kernel's entry, which is compiled where the cache does not have it.
std::string entry_bytes(KernelCache& cache, const Source& source, const Target& target,
                        BundleCount& count) {
  const Provenance provenance{compile_options(target), compiler_identity()};
  const KernelKey key = kernel_key(source, provenance.options, provenance.compiler);
  cache.find_or_compile(key, source, provenance, [&] {
    count.fresh++;
    return compile(source);
  });
  FileContent file = open_cache()->read(key);
  if (file.status != FileContent::Status::ok)
    throw Error(ErrorCode::cache_io, "the cache does not keep " + key.text() + ": " + file.problem);
  return std::move(file.bytes);
}

}  // namespace

std::vector<RowProgram> programs_of_rows(const fs::path& rows) {
  std::vector<RowProgram> programs;
  for (const ScheduleRow& row : read_schedule_rows(read(rows, most_toml_bytes), rows.native()))
    programs.push_back(program_of(row));
  return programs;
}

BundleCount export_bundle(const fs::path& rows, const fs::path& folder) {
  const std::vector<RowProgram> programs = programs_of_rows(rows);
  std::error_code error;
  fs::create_directories(folder / "kernels", error);
  if (error) fail(folder, "cannot be made: " + error.message());
  BundleCount count;
  KernelCache cache(cache_options());
  for (const RowProgram& program : programs) {
    if (program.target->is_cpu()) continue;  // its kernel is part of the library
    for (const Source& source :
         emit(program.operation, program.problem, program.schedule, *program.target)) {
      const std::string bytes = entry_bytes(cache, source, *program.target, count);
      const KernelKey key =
          kernel_key(source, compile_options(*program.target), compiler_identity());
      const fs::path file = folder / "kernels" / key.text();
      if (!fs::exists(file)) count.kernels++;
      write(file, bytes);
    }
  }
  write(folder / "rows.toml", read(rows, most_toml_bytes));
  return count;
}

BundleCount install_bundle(const fs::path& folder, const fs::path& rows) {
  const std::string text = read(folder / "rows.toml", most_toml_bytes);
  ScheduleTable::parse(text, (folder / "rows.toml").native());  // which says what is wrong with it
  BundleCount count;
  const auto cache = open_cache();
  std::error_code error;
  for (const auto& file : fs::directory_iterator(folder / "kernels", error)) {
    const auto key = KernelKey::parse(file.path().filename().native());
    if (!key) fail(file.path(), "is not named after a kernel's key");
    const std::string bytes = read(file.path(), max_entry_bytes);
    if (const DecodedEntry entry = decode(bytes, *key); !entry.entry)
      fail(file.path(), "cannot be used: " + entry.problem);
    const int result = cache->publish(*key, bytes);
    if (result != 0 && result != EEXIST)
      throw Error(ErrorCode::cache_io,
                  "the cache takes no " + key->text() + ": " + std::string(std::strerror(result)));
    count.kernels++, count.fresh += result == 0;
  }
  if (error) fail(folder, "has no kernels: " + error.message());
  write(rows, text);
  return count;
}

}  // namespace streamattn

// Tells processes apart by machine, pid and start time, as /proc has them.
#include "support/process_tag.h"

#include <fcntl.h>
#include <unistd.h>

#include <llvm/ADT/SmallVector.h>
#include <llvm/ADT/StringRef.h>

#include <array>
#include <filesystem>
#include <optional>

#include "support/files.h"
#include "support/hash.h"

namespace streamattn {
namespace {

// The start of a file below /proc, enough for all that is read here. Empty if it cannot be read.
std::string read_text(const std::string& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 1024> text;
  const ssize_t size = ::read(file.get(), text.data(), text.size());
  return size > 0 ? std::string(text.data(), static_cast<std::size_t>(size)) : std::string();
}

// This boot of this machine, and the pid namespace: containers share a boot but not their pids.
std::string machine() {
  std::error_code ignored;
  const std::string boot = read_text("/proc/sys/kernel/random/boot_id");
  const std::string pids = std::filesystem::read_symlink("/proc/self/ns/pid", ignored).string();
  return base32(digest(boot + pids)).substr(0, 8);
}

// Clock ticks from boot to the start of a process: field 22 of its stat, where field 2 is a name in
// parentheses that may hold anything. Nothing if there is no such process.
std::optional<std::string> start_time(const std::string& pid) {
  const std::string stat = read_text("/proc/" + pid + "/stat");
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  llvm::SmallVector<llvm::StringRef, 64> fields;
  llvm::StringRef(stat).substr(name_end + 2).split(fields, ' ');
  constexpr std::size_t start_field = 22 - 3;
  if (fields.size() <= start_field) return std::nullopt;
  return fields[start_field].str();
}

}  // namespace

std::string process_tag() {
  const std::string pid = std::to_string(::getpid());
  return machine() + "-" + pid + "-" + start_time(pid).value_or("0");
}

bool is_of_dead_process(std::string_view name) {
  llvm::SmallVector<llvm::StringRef, 4> parts;
  llvm::StringRef(name.data(), name.size()).split(parts, '-');
  unsigned pid = 0;
  if (parts.size() < 3 || parts[0] != machine() || parts[1].getAsInteger(10, pid)) return false;
  // Without /proc nobody's start can be seen, not even ours.
  if (!start_time(std::to_string(::getpid()))) return false;
  return start_time(std::to_string(pid)) != parts[2].str();
}

}  // namespace streamattn

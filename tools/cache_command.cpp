// Lists, checks and clears the kernel cache for its user.
#include "tools/cache_command.h"

#include <llvm/ADT/StringExtras.h>
#include <llvm/Support/FormatVariadic.h>
#include <llvm/Support/JSON.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <vector>

#include "runtime/cache/directory.h"
#include "runtime/cache/entry.h"
#include "runtime/cache/kernel_cache.h"
#include "streamattn/error.h"
#include "support/progress.h"
#include "tools/flags.h"
#include "tools/table.h"

namespace streamattn {
namespace {

std::filesystem::path cache_path() {
  const CacheOptions options = cache_options();
  if (!options.directory.empty()) return options.directory;
  throw Error(ErrorCode::cache_io,
              "there is no cache directory: none of STREAMATTN_CACHE_DIR, XDG_CACHE_HOME and HOME "
              "names one");
}

// Null where nothing was cached yet.
std::shared_ptr<const CacheDirectory> open_cache() {
  CacheDirectory::Opened opened = CacheDirectory::open(cache_path(), false);
  if (opened.directory || opened.error == ENOENT) return std::move(opened.directory);
  throw Error(opened.error == EPERM ? ErrorCode::cache_refused : ErrorCode::cache_io,
              opened.problem);
}

// An entry of the cache, or what is wrong with it.
struct Inspected {
  KernelKey key;
  std::uint64_t bytes = 0;
  std::optional<CacheEntry> entry;
  std::string problem;
  bool damaged = false;
};

Inspected inspect(const CacheDirectory& cache, const CacheDirectory::EntryFile& file) {
  const FileContent content = cache.read(file.key);
  switch (content.status) {
    case FileContent::Status::ok:
      break;
    case FileContent::Status::refused:
      return {file.key, file.bytes, {}, content.problem, true};
    case FileContent::Status::missing:  // removed meanwhile
    case FileContent::Status::failed:
      return {file.key, file.bytes, {}, "cannot be read: " + content.problem, false};
  }
  DecodedEntry decoded = decode(content.bytes, file.key);
  return {file.key, file.bytes, std::move(decoded.entry), decoded.problem, decoded.damaged};
}

std::vector<Inspected> inspect_all(const CacheDirectory& cache, const char* title) {
  const auto files = cache.entries();
  Progress progress(title, static_cast<std::int64_t>(files.size()));
  std::vector<Inspected> found;
  for (const auto& file : files) {
    found.push_back(inspect(cache, file));
    progress.update(static_cast<std::int64_t>(found.size()));
  }
  return found;
}

// The newest first; what cannot be read last.
std::vector<Inspected> inspect_sorted(const CacheDirectory& cache) {
  std::vector<Inspected> found = inspect_all(cache, "reading");
  std::ranges::sort(found, [](const Inspected& a, const Inspected& b) {
    const auto rank = [](const Inspected& file) {
      return std::pair(file.entry ? file.entry->created : 0, file.key.bytes);
    };
    return rank(a) > rank(b);
  });
  return found;
}

// The emitted file says in its second line what problem it solves.
std::string problem_of(const CacheEntry& entry) {
  constexpr llvm::StringLiteral prefix = "// problem:";
  llvm::StringRef text(entry.text);
  const std::size_t begin = text.find(prefix);
  if (begin == llvm::StringRef::npos) return text.split('\n').first.str();
  return text.substr(begin + prefix.size()).split('\n').first.trim().str();
}

std::string age_text(std::uint64_t created) {
  using namespace std::chrono;
  const auto now = static_cast<std::uint64_t>(
      duration_cast<seconds>(system_clock::now().time_since_epoch()).count());
  const std::uint64_t age = now > created ? now - created : 0;
  if (age < 120) return llvm::formatv("{0} s", age);
  if (age < 120 * 60) return llvm::formatv("{0} min", age / 60);
  if (age < 48 * 3600) return llvm::formatv("{0} h", age / 3600);
  return llvm::formatv("{0} days", age / 86400);
}

std::string kib_text(std::uint64_t bytes) {
  return llvm::formatv("{0:f1}", static_cast<double>(bytes) / 1024);
}

llvm::json::Object to_json(const Inspected& file) {
  llvm::json::Object object{{"key", file.key.text()},
                            {"bytes", static_cast<std::int64_t>(file.bytes)}};
  if (!file.entry) {
    object["problem_with_file"] = file.problem;
    return object;
  }
  const CacheEntry& entry = *file.entry;
  const Resources& resources = entry.binary.resources;
  object["target"] = entry.target;
  object["entry"] = entry.entry;
  object["problem"] = problem_of(entry);
  object["options"] = llvm::json::Array(entry.options);
  object["compiler"] = entry.compiler;
  object["producer"] = entry.producer;
  object["created"] = static_cast<std::int64_t>(entry.created);
  object["compile_milliseconds"] = entry.binary.compile_milliseconds;
  object["cubin_bytes"] = static_cast<std::int64_t>(entry.binary.cubin.size());
  object["registers"] = resources.registers;
  object["spill_store_bytes"] = resources.spill_store_bytes;
  object["spill_load_bytes"] = resources.spill_load_bytes;
  object["stack_bytes"] = resources.stack_bytes;
  object["static_smem_bytes"] = resources.static_smem_bytes;
  object["dynamic_smem_bytes"] = resources.dynamic_smem_bytes;
  object["advisories"] = llvm::json::Array(entry.binary.advisories);
  return object;
}

void print_json(llvm::json::Value value, llvm::raw_ostream& out) {
  out << llvm::formatv("{0:2}", value) << "\n";
}

std::string short_key(const KernelKey& key) { return key.text().substr(0, 12); }

Exit list(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) {
  bool json = false;
  Flags flags("cache ls [--json]", "Lists the cached kernels, the newest first.");
  flags.add("json", "print JSON", json);
  if (!flags.parse(args, out)) return Exit::ok;
  const auto cache = open_cache();
  const std::vector<Inspected> files = cache ? inspect_sorted(*cache) : std::vector<Inspected>();
  if (json) {
    llvm::json::Array array;
    for (const Inspected& file : files) array.push_back(to_json(file));
    print_json(std::move(array), out);
    return Exit::ok;
  }
  Table table({"key", "target", "KiB", "registers", "spill bytes", "compile ms", "age", "problem"});
  for (const Inspected& file : files) {
    if (!file.entry) {
      table.add({short_key(file.key), "-", kib_text(file.bytes), "-", "-", "-", "-",
                 "unusable: " + file.problem});
      continue;
    }
    const Resources& resources = file.entry->binary.resources;
    table.add({short_key(file.key), file.entry->target, kib_text(file.bytes),
               std::to_string(resources.registers),
               std::to_string(resources.spill_store_bytes + resources.spill_load_bytes),
               llvm::formatv("{0:f0}", file.entry->binary.compile_milliseconds),
               age_text(file.entry->created), problem_of(*file.entry)});
  }
  table.print(out);
  return Exit::ok;
}

struct Summary {
  std::string directory;
  std::uint64_t entries = 0, bytes = 0, quarantined = 0, temporary = 0;
  CacheCounters counters;
};

Summary summarize() {
  Summary summary{.directory = cache_path().string()};
  const auto cache = open_cache();
  if (!cache) return summary;
  for (const auto& file : cache->entries()) {
    ++summary.entries;
    summary.bytes += file.bytes;
  }
  summary.quarantined = cache->quarantined_count();
  summary.temporary = cache->temporary_count();
  summary.counters = cache->counters();
  return summary;
}

Exit stats(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) {
  bool json = false;
  Flags flags("cache stats [--json]",
              "Shows what is in the cache and what all processes so far got from it.");
  flags.add("json", "print JSON", json);
  if (!flags.parse(args, out)) return Exit::ok;
  const Summary summary = summarize();
  const auto row = [](llvm::StringRef name, const auto& value) {
    return llvm::formatv("{0,-22}{1}\n", name, value).str();
  };
  if (!json) {
    out << row("directory", summary.directory) << row("entries", summary.entries)
        << row("KiB", kib_text(summary.bytes)) << row("quarantined", summary.quarantined)
        << row("being written", summary.temporary);
    for (const auto& field : cache_counter_fields) {
      out << row(field.name, summary.counters.*field.value);
    }
    return Exit::ok;
  }
  llvm::json::Object counters;
  for (const auto& field : cache_counter_fields) {
    counters[llvm::StringRef(field.name)] =
        static_cast<std::int64_t>(summary.counters.*field.value);
  }
  print_json(llvm::json::Object{{"directory", summary.directory},
                                {"entries", static_cast<std::int64_t>(summary.entries)},
                                {"bytes", static_cast<std::int64_t>(summary.bytes)},
                                {"quarantined", static_cast<std::int64_t>(summary.quarantined)},
                                {"being_written", static_cast<std::int64_t>(summary.temporary)},
                                {"counters", std::move(counters)}},
             out);
  return Exit::ok;
}

Exit verify(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) {
  bool repair = false;
  Flags flags("cache verify [--repair]",
              "Reads every entry and checks it. Exit code 1 if any is damaged.");
  flags.add("repair", "take damaged entries out of use, so that they are compiled again", repair);
  if (!flags.parse(args, out)) return Exit::ok;
  const auto cache = open_cache();
  if (!cache) {
    out << "0 entries\n";
    return Exit::ok;
  }
  const std::vector<Inspected> files = inspect_all(*cache, "verifying");
  std::size_t damaged = 0;
  for (const Inspected& file : files) {
    if (file.entry) continue;
    out << file.key.text() << ": " << file.problem << "\n";
    if (!file.damaged) continue;
    ++damaged;
    if (repair) cache->quarantine(file.key);
  }
  out << files.size() << " entries, " << damaged << " damaged"
      << (repair && damaged > 0 ? " and taken out of use" : "") << "\n";
  return damaged == 0 ? Exit::ok : Exit::wrong;
}

Exit clear(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) {
  Flags flags("cache clear", "Removes every cached kernel. Running processes are not disturbed.");
  if (!flags.parse(args, out)) return Exit::ok;
  out << "removed " << clear_cache(cache_path()) << " entries\n";
  return Exit::ok;
}

Exit path(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) {
  Flags flags(
      "cache path",
      "Prints the cache directory: $STREAMATTN_CACHE_DIR, else streamattn in $XDG_CACHE_HOME\n"
      "or $HOME/.cache.");
  if (!flags.parse(args, out)) return Exit::ok;
  out << cache_path().string() << "\n";
  return Exit::ok;
}

constexpr Command actions[] = {
    {"ls", "list the cached kernels", list}, {"stats", "show sizes and counters", stats},
    {"verify", "check every entry", verify}, {"clear", "remove every entry", clear},
    {"path", "print the directory", path},
};

}  // namespace

Exit cache_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) {
  return run_action("cache", actions, args, out);
}

llvm::ArrayRef<Command> cache_actions() { return actions; }

}  // namespace streamattn

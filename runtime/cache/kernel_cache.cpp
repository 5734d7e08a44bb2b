// What happens when a kernel is asked for, found, missing, damaged or cannot be stored.
#include "runtime/cache/kernel_cache.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <new>
#include <random>
#include <thread>

#include "compiler/toolchain/cubin.h"
#include "runtime/cache/directory.h"
#include "runtime/cache/entry.h"
#include "runtime/cache/locks.h"
#include "streamattn/error.h"
#include "support/environment.h"
#include "support/log.h"

namespace streamattn {
namespace {

using Clock = std::chrono::steady_clock;
using CacheMode = JitOptions::CacheMode;

constexpr std::chrono::minutes full_disk_pause(10);
constexpr std::chrono::milliseconds first_poll(5);
constexpr std::chrono::milliseconds slowest_poll(100);

std::filesystem::path default_directory() {
  if (const auto directory = environment_path("STREAMATTN_CACHE_DIR")) return *directory;
  // The XDG specification has relative paths ignored.
  const std::filesystem::path base = environment("XDG_CACHE_HOME").value_or("");
  if (base.is_absolute()) return base / "streamattn";
  const std::filesystem::path home = environment("HOME").value_or("");
  if (home.is_absolute()) return home / ".cache" / "streamattn";
  return {};
}

std::filesystem::path absolute_directory(const std::filesystem::path& given) {
  if (given.empty()) throw Error(ErrorCode::invalid_argument, "cache_dir is empty, needs a path");
  std::error_code error;
  std::filesystem::path absolute = std::filesystem::absolute(given, error);
  if (error) {
    throw Error(ErrorCode::invalid_argument,
                "cache_dir is " + given.string() +
                    ", relative to a working directory that cannot be read: " + error.message());
  }
  return absolute;
}

std::uint64_t seconds_since_1970() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(now).count());
}

// Up to a quarter more or less, so that waiting processes spread out.
void sleep_about(std::chrono::milliseconds pause) {
  thread_local std::minstd_rand random(std::random_device{}());
  const double factor = std::uniform_real_distribution(0.75, 1.25)(random);
  std::this_thread::sleep_for(pause * factor);
}

}  // namespace

CacheOptions cache_options(std::optional<CacheMode> mode,
                           const std::optional<std::filesystem::path>& directory) {
  constexpr std::string_view names[] = {"rw", "ro", "off"};
  constexpr CacheMode modes[] = {CacheMode::read_write, CacheMode::read_only, CacheMode::off};
  CacheOptions options;
  if (mode) {
    options.mode = *mode;
  } else if (const auto choice = environment_choice("STREAMATTN_CACHE_MODE", names)) {
    options.mode = modes[*choice];
  }
  options.directory = directory ? absolute_directory(*directory) : default_directory();
  return options;
}

KernelCache::KernelCache(CacheOptions options) : options_(std::move(options)) {}

KernelCache::~KernelCache() {
  try {
    const CacheCounters counted = counters();
    if (!may_write() || counted == CacheCounters{}) return;
    if (const auto cache = directory(Access::write)) cache->add_counters(counted);
  } catch (const std::bad_alloc&) {
    // What was counted is not worth more.
  }
}

std::optional<Binary> KernelCache::find(const KernelKey& key) {
  std::optional<Binary> binary = look_up(key);
  count_find(binary.has_value());
  return binary;
}

void KernelCache::publish(const KernelKey& key, const Source& source, const Binary& binary,
                          const Provenance& provenance) {
  if (!may_write() || !directory(Access::write)) return;
  // A bad binary must never become everybody's.
  if (const std::string complaint = cubin_complaint(binary.cubin, source.entry);
      !complaint.empty()) {
    count(&CacheCounters::publish_failures);
    return log(LogLevel::error, LogTopic::cache, "not storing " + key.text() + ": " + complaint);
  }
  const auto bytes = encode({.key = key,
                             .binary = binary,
                             .entry = source.entry,
                             .target = std::string(source.target),
                             .text = source.text,
                             .options = provenance.options,
                             .compiler = provenance.compiler,
                             .producer = "streamattn " + std::string(version()),
                             .created = seconds_since_1970()});
  if (!bytes) return note_publish(EFBIG, key, 0);
  note_publish(write(key, *bytes), key, bytes->size());
}

Binary KernelCache::find_or_compile(const KernelKey& key, const Source& source,
                                    const Provenance& provenance,
                                    const std::function<Binary()>& compile) {
  if (auto binary = find(key)) return std::move(*binary);
  std::optional<FileLock> lock;
  if (auto binary = await_turn(key, lock)) return std::move(*binary);
  Binary binary = compile();
  count(&CacheCounters::compiles);
  count(&CacheCounters::compile_milliseconds,
        static_cast<std::uint64_t>(std::lround(binary.compile_milliseconds)));
  publish(key, source, binary, provenance);
  return binary;
}

Binary KernelCache::find_or_compile(const Source& source,
                                    const std::function<Provenance()>& provenance,
                                    const std::function<Binary()>& compile) {
  std::optional<Provenance> known;
  try {
    known = provenance();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::nvrtc_missing) throw;
    if (auto binary = find_of_any_compiler(source)) return std::move(*binary);
    std::string place = options_.directory.string();
    if (place.empty()) place = "it has no directory";
    if (options_.mode == CacheMode::off) place = "it is off";
    throw Error(
        ErrorCode::nvrtc_missing,
        std::string(error.what()) + "\nthe kernel cache has no such kernel (" + place + ")");
  }
  return find_or_compile(kernel_key(source, known->options, known->compiler), source, *known,
                         compile);
}

std::optional<Binary> KernelCache::find_of_any_compiler(const Source& source) {
  std::optional<CacheEntry> youngest;
  if (const auto cache = directory(Access::read)) {
    for (const CacheDirectory::EntryFile& file : cache->entries()) {
      std::optional<CacheEntry> entry = load(*cache, file.key);
      if (!entry || entry->target != source.target || entry->compiler.empty()) continue;
      if (kernel_key(source, entry->options, entry->compiler) != file.key) continue;
      if (!youngest || entry->created > youngest->created) youngest = std::move(entry);
    }
  }
  count_find(youngest.has_value());
  if (!youngest) return std::nullopt;
  return std::move(youngest->binary);
}

CacheCounters KernelCache::counters() const {
  Session& session = session_.get();
  const std::lock_guard lock(session.mutex);
  return session.counters;
}

// Null when there is nothing to read, or nowhere to write; the reason is logged once.
std::shared_ptr<const CacheDirectory> KernelCache::directory(Access access) {
  if (options_.mode == CacheMode::off) return nullptr;
  if (options_.directory.empty()) {
    log_once(LogLevel::warning, LogTopic::cache,
             "kernels are not kept on disk: none of STREAMATTN_CACHE_DIR, XDG_CACHE_HOME and HOME "
             "names a directory");
    return nullptr;
  }
  Session& session = session_.get();
  const std::lock_guard lock(session.mutex);
  const bool writing = access == Access::write;
  if (session.directory && (session.directory->can_write() || !writing)) return session.directory;
  CacheDirectory::Opened opened = CacheDirectory::open(options_.directory, writing);
  if (!opened.directory) {
    if (opened.error != ENOENT || writing) {
      log_once(LogLevel::warning, opened.error == EPERM ? LogTopic::security : LogTopic::cache,
               "kernels are not kept on disk: " + opened.problem);
    }
    return nullptr;
  }
  session.directory = std::move(opened.directory);
  return session.directory;
}

// Made where somebody compiles: who finds all kernels never asks for them.
const CacheLocks& KernelCache::locks(const CacheDirectory& directory) {
  Session& session = session_.get();
  const std::lock_guard lock(session.mutex);
  if (!session.locks) session.locks = std::make_unique<const CacheLocks>(directory.identity());
  return *session.locks;
}

std::optional<Binary> KernelCache::look_up(const KernelKey& key) {
  const auto cache = directory(Access::read);
  if (!cache) return std::nullopt;
  std::optional<CacheEntry> entry = load(*cache, key);
  if (!entry) return std::nullopt;
  return std::move(entry->binary);
}

std::optional<CacheEntry> KernelCache::load(const CacheDirectory& cache, const KernelKey& key) {
  FileContent file = cache.read(key);
  switch (file.status) {
    case FileContent::Status::ok:
      break;
    case FileContent::Status::missing:
      return std::nullopt;
    case FileContent::Status::refused:
      discard(key, file.problem);
      return std::nullopt;
    case FileContent::Status::failed:
      count(&CacheCounters::read_failures);
      log(LogLevel::warning, LogTopic::cache, "cannot read " + key.text() + ": " + file.problem);
      return std::nullopt;
  }
  count(&CacheCounters::bytes_read, file.bytes.size());
  DecodedEntry decoded = decode(file.bytes, key);
  if (!decoded.entry && decoded.damaged) discard(key, decoded.problem);
  return std::move(decoded.entry);
}

void KernelCache::discard(const KernelKey& key, const std::string& problem) {
  count(&CacheCounters::damaged);
  log(LogLevel::warning, LogTopic::cache, "not using entry " + key.text() + ": it " + problem);
  if (!may_write()) return;
  if (const auto cache = directory(Access::write)) cache->quarantine(key);
}

// 0 or errno.
int KernelCache::write(const KernelKey& key, const std::string& bytes) {
  int error = ENOENT;
  if (const auto cache = directory(Access::write)) error = cache->publish(key, bytes);
  if (error != ENOENT) return error;
  // Somebody cleared or removed the directory that we hold: make it anew.
  {
    Session& session = session_.get();
    const std::lock_guard lock(session.mutex);
    session.directory.reset();
  }
  const auto cache = directory(Access::write);
  return cache ? cache->publish(key, bytes) : error;
}

void KernelCache::note_publish(int error, const KernelKey& key, std::size_t bytes) {
  if (error == EEXIST) return count(&CacheCounters::lost_races);
  if (error == 0) {
    count(&CacheCounters::published);
    count(&CacheCounters::bytes_written, bytes);
    return;
  }
  count(&CacheCounters::publish_failures);
  log(LogLevel::warning, LogTopic::cache,
      "cannot store " + key.text() + ": " + std::strerror(error));
  Session& session = session_.get();
  const std::lock_guard lock(session.mutex);
  if (error == ENOSPC || error == EDQUOT) session.writes_resume = Clock::now() + full_disk_pause;
  if (error == EROFS) session.writes_resume = Clock::time_point::max();
}

// Returns with the entry as soon as another process has made it; else with the lock, or without it
// once patience has run out.
std::optional<Binary> KernelCache::await_turn(const KernelKey& key, std::optional<FileLock>& lock) {
  const auto cache = may_write() ? directory(Access::write) : nullptr;
  if (!cache) return std::nullopt;
  const CacheLocks& between_processes = locks(*cache);
  const std::string stripe = key.text().substr(0, 2);
  const auto deadline = Clock::now() + options_.patience;
  for (auto pause = first_poll;; pause = std::min(2 * pause, slowest_poll)) {
    lock = between_processes.try_lock(stripe);
    // Also with the lock in hand: the entry may have been made just before.
    if (auto binary = look_up(key)) {
      count(&CacheCounters::shared);
      return binary;
    }
    if (lock) return std::nullopt;
    if (Clock::now() >= deadline) break;
    sleep_about(pause);
  }
  count(&CacheCounters::wait_timeouts);
  log(LogLevel::warning, LogTopic::cache,
      "compiling " + key.text() + " although another process is at it: it took too long");
  return std::nullopt;
}

bool KernelCache::may_write() const {
  Session& session = session_.get();
  const std::lock_guard lock(session.mutex);
  return options_.mode == CacheMode::read_write && Clock::now() >= session.writes_resume;
}

void KernelCache::count_find(bool is_hit) {
  if (options_.mode != CacheMode::off) {
    count(is_hit ? &CacheCounters::hits : &CacheCounters::misses);
  }
}

void KernelCache::count(Counter counter, std::uint64_t amount) {
  Session& session = session_.get();
  const std::lock_guard lock(session.mutex);
  session.counters.*counter += amount;
}

}  // namespace streamattn

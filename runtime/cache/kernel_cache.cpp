// What happens when a kernel is asked for, found, missing, damaged or cannot be stored.
#include "runtime/cache/kernel_cache.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <random>
#include <thread>

#include "compiler/toolchain/cubin.h"
#include "runtime/cache/directory.h"
#include "runtime/cache/entry.h"
#include "runtime/cache/locks.h"
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
  options.directory = directory ? std::filesystem::absolute(*directory) : default_directory();
  return options;
}

KernelCache::KernelCache(CacheOptions options)
    : options_(std::move(options)), process_(::getpid()) {}

KernelCache::~KernelCache() {
  // A forked child has a copy of counters that its parent saves.
  if (!may_write() || counters() == CacheCounters{} || process_ != ::getpid()) return;
  if (const auto cache = directory(Access::write)) cache->add_counters(counters_);
}

std::optional<Binary> KernelCache::find(const KernelKey& key) {
  std::optional<Binary> binary = look_up(key);
  if (options_.mode != CacheMode::off) {
    count(binary ? &CacheCounters::hits : &CacheCounters::misses);
  }
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

CacheCounters KernelCache::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
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
  const std::lock_guard lock(mutex_);
  const bool writing = access == Access::write;
  if (directory_ && (directory_->can_write() || !writing)) return directory_;
  CacheDirectory::Opened opened = CacheDirectory::open(options_.directory, writing);
  if (!opened.directory) {
    if (opened.error != ENOENT || writing) {
      log_once(LogLevel::warning, opened.error == EPERM ? LogTopic::security : LogTopic::cache,
               "kernels are not kept on disk: " + opened.problem);
    }
    return nullptr;
  }
  directory_ = std::move(opened.directory);
  if (!locks_) locks_ = std::make_unique<const CacheLocks>(directory_->identity());
  return directory_;
}

std::optional<Binary> KernelCache::look_up(const KernelKey& key) {
  const auto cache = directory(Access::read);
  if (!cache) return std::nullopt;
  FileContent file = cache->read(key);
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
  if (decoded.entry) return std::move(decoded.entry->binary);
  if (decoded.damaged) discard(key, decoded.problem);
  return std::nullopt;
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
    const std::lock_guard lock(mutex_);
    directory_.reset();
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
  const std::lock_guard lock(mutex_);
  if (error == ENOSPC || error == EDQUOT) writes_resume_ = Clock::now() + full_disk_pause;
  if (error == EROFS) writes_resume_ = Clock::time_point::max();
}

// Returns with the entry as soon as another process has made it; else with the lock, or without it
// once patience has run out.
std::optional<Binary> KernelCache::await_turn(const KernelKey& key, std::optional<FileLock>& lock) {
  if (!may_write() || !directory(Access::write)) return std::nullopt;
  const std::string stripe = key.text().substr(0, 2);
  const auto deadline = Clock::now() + options_.patience;
  for (auto pause = first_poll;; pause = std::min(2 * pause, slowest_poll)) {
    lock = locks_->try_lock(stripe);
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
  const std::lock_guard lock(mutex_);
  return options_.mode == CacheMode::read_write && Clock::now() >= writes_resume_;
}

void KernelCache::count(Counter counter, std::uint64_t amount) {
  const std::lock_guard lock(mutex_);
  counters_.*counter += amount;
}

}  // namespace streamattn

// The worker threads behind parallel_for.
#include "runtime/cpu/threads.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "support/log.h"
#include "support/per_process.h"

namespace streamattn {
namespace {

/// One loop: threads take the next index until there is none.
class Loop {
 public:
  Loop(std::int64_t count, const std::function<void(std::int64_t)>& body)
      : count_(count), body_(body) {}

  void work() {
    for (std::int64_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < count_;) {
      try {
        body_(i);
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (!error_) error_ = std::current_exception();
        next_ = count_;
      }
    }
  }

  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

  int open_places = 0;  ///< workers that may still join; guarded by the mutex of Workers
  int workers = 0;      ///< workers inside; likewise

 private:
  const std::int64_t count_;
  const std::function<void(std::int64_t)>& body_;
  std::atomic<std::int64_t> next_ = 0;
  std::mutex mutex_;
  std::exception_ptr error_;
};

/// The threads that help callers of parallel_for. They are started when a loop first wants them and
/// never stopped: they wait for nothing but loops, and loops may come while the process ends.
class Workers {
 public:
  /// The caller works too and waits only for workers that have joined.
  void run(Loop& loop, int helpers) {
    const int places = std::min(helpers, have(helpers));
    if (places < helpers) {
      log_once(LogLevel::warning, LogTopic::launch,
               "the system refuses a thread: launches on the CPU use those that there are");
    }
    loop.open_places = places;
    if (places > 0) offer(loop);
    for (int i = 0; i < places; ++i) offered_.notify_one();
    loop.work();
    std::unique_lock lock(mutex_);
    std::erase(loops_, &loop);
    left_.wait(lock, [&] { return loop.workers == 0; });
  }

 private:
  /// Starts threads until there are `wanted` or the system refuses one. Returns how many there are.
  int have(int wanted) {
    const std::lock_guard lock(mutex_);
    try {
      for (; threads_ < wanted; ++threads_) std::thread([this] { serve(); }).detach();
    } catch (const std::exception&) {
      // No memory, or a limit of the process, its user or its container: the next loop tries again.
    }
    return threads_;
  }

  // From here on nothing of the caller's may fail: the loop is its own.
  void offer(Loop& loop) {
    const std::lock_guard lock(mutex_);
    loops_.push_back(&loop);
  }

  [[noreturn]] void serve() {
    std::unique_lock lock(mutex_);
    while (true) {
      offered_.wait(lock, [&] { return !loops_.empty(); });
      Loop& loop = *loops_.front();
      if (--loop.open_places == 0) loops_.pop_front();
      ++loop.workers;
      lock.unlock();
      loop.work();
      lock.lock();
      std::erase(loops_, &loop);  // it has no index left, whatever its open places
      if (--loop.workers == 0) left_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable offered_, left_;
  std::deque<Loop*> loops_;  ///< with open places
  int threads_ = 0;
};

/// The one thing kept between launches: starting threads costs as much as a small attention call.
/// A union, as its destructor destroys nothing: launches may come after those of static objects.
union KeptWorkers {
  constexpr KeptWorkers() : of_process() {}
  ~KeptWorkers() {}
  PerProcess<Workers> of_process;
};
constinit KeptWorkers workers;

}  // namespace

int thread_count(int limit) {
  const int machine = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  return limit == 0 ? machine : std::min(limit, machine);
}

void parallel_for(std::int64_t count, int max_threads,
                  const std::function<void(std::int64_t)>& body) {
  Loop loop(count, body);
  const std::int64_t threads = std::min<std::int64_t>(thread_count(max_threads), count);
  if (threads > 1) {
    workers.of_process.get().run(loop, static_cast<int>(threads) - 1);
  } else {
    loop.work();
  }
  loop.rethrow();
}

}  // namespace streamattn

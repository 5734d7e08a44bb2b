// The worker threads behind parallel_for.
#include "runtime/cpu/threads.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

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

class Workers {
 public:
  explicit Workers(int count) {
    for (int i = 0; i < count; ++i) threads_.emplace_back([this] { serve(); });
  }

  ~Workers() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    offered_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  /// The caller works too and waits only for workers that have joined, so a loop ends even where
  /// no worker is left (in a forked child).
  void run(Loop& loop, int helpers) {
    {
      const std::lock_guard lock(mutex_);
      loop.open_places = helpers;
      loops_.push_back(&loop);
    }
    for (int i = 0; i < helpers; ++i) offered_.notify_one();
    loop.work();
    std::unique_lock lock(mutex_);
    std::erase(loops_, &loop);
    left_.wait(lock, [&] { return loop.workers == 0; });
  }

 private:
  void serve() {
    std::unique_lock lock(mutex_);
    while (true) {
      offered_.wait(lock, [&] { return stopping_ || !loops_.empty(); });
      if (stopping_) return;
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
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

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
    // The one thing kept between launches: starting threads costs as much as a small attention
    // call. They start with the first loop that wants them.
    static Workers workers(thread_count(0) - 1);
    workers.run(loop, static_cast<int>(threads) - 1);
  } else {
    loop.work();
  }
  loop.rethrow();
}

}  // namespace streamattn

// Counts forks.
#include "support/per_process.h"

#include <pthread.h>

namespace streamattn {
namespace {

constinit std::atomic<unsigned> forks = 0;
constinit std::atomic<bool> are_counted = false;

void count_in_child() { forks.fetch_add(1, std::memory_order_relaxed); }

}  // namespace

unsigned fork_count() {
  // Two threads may both be first. A fork then counts twice, which tells processes apart as well,
  // and no lock is needed that could be held while a third thread forks.
  if (!are_counted.load(std::memory_order_acquire)) {
    are_counted = ::pthread_atfork(nullptr, nullptr, count_in_child) == 0;
  }
  return forks.load(std::memory_order_relaxed);
}

}  // namespace streamattn

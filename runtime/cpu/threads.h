// Loops over all cores of the host, by threads that stay.
#pragma once

#include <cstdint>
#include <functional>

namespace streamattn {

/// Threads that parallel_for uses at most: `limit`, or what the machine has where that is 0.
int thread_count(int limit);

/// Calls `body(i)` once for every i in [0, count), on the calling thread and on
/// thread_count(max_threads) - 1 others, or fewer where the system refuses threads, smaller i
/// first, and returns when all calls have. Any number of threads may be in here at the same time;
/// they share the workers. A forked child has workers of its own. What `body` throws first is
/// thrown here, after the calls that had begun.
void parallel_for(std::int64_t count, int max_threads,
                  const std::function<void(std::int64_t)>& body);

}  // namespace streamattn

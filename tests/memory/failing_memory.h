// Makes memory of this program fail.
#pragma once

#include <cstdint>

namespace streamattn {

/// Which requests for memory fail, of all threads.
enum class Fault {
  one,   ///< that one alone
  rest,  ///< that one and all after it
};

/// Makes the `request`th request for memory from now on fail, or all from there.
void fail_memory(std::int64_t request, Fault fault);

/// Ends that. Returns whether a request failed.
bool end_failing_memory();

/// Blocks of memory that the program has.
std::int64_t live_blocks();

}  // namespace streamattn

// Lengths of calls as jobs name them: lists, buckets between powers of two, traces of what ran.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "autotune/tune_job.h"

namespace streamattn {

/// No call has a longer sequence: see Shape.
inline constexpr std::int64_t longest_length = std::int64_t{1} << 40;

/// Lengths of queries and keys that get one schedule.
struct LengthBucket {
  Lengths q_len, kv_len;
  std::vector<std::pair<std::int64_t, std::int64_t>> points;  ///< (q_len, kv_len), largest first
  double weight = 1;
};

/// Buckets of equal lengths of queries and keys that end at powers of two and together hold
/// `lengths`; each is measured at its end and in its middle.
std::vector<LengthBucket> square_buckets(const Lengths& lengths);

/// The bucket of a length of keys: what is rounded up to one power of two. That of queries, of
/// which few are decode or speculation: 1, then 2 to 16, then as keys. Of no length: that alone.
Lengths key_bucket_of(std::int64_t length);
Lengths query_bucket_of(std::int64_t length);

/// Buckets of a trace: CSV with a line per call, kv_len or q_len,kv_len, maybe after a header. Both
/// lengths are rounded up to a power of two (queries: 1, then 16 at least), and a bucket weighs as
/// much as it has calls. It is measured at its largest call and at the median one. Throws Error
/// (invalid_config) with the line that is none.
std::vector<LengthBucket> trace_buckets(std::string_view csv, std::string_view origin);

/// `count` lengths drawn by `seed` from `lengths`, even in their logarithm, queries as long as
/// keys: what nobody chose, to see what a default loses.
std::vector<LengthBucket> random_lengths(std::int64_t count, const Lengths& lengths,
                                         std::uint64_t seed);

}  // namespace streamattn

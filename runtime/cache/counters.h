// What happened to a kernel cache, counted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace streamattn {

struct CacheCounters {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t shared = 0;  ///< misses that another process compiled while this one waited
  std::uint64_t compiles = 0;
  std::uint64_t compile_milliseconds = 0;
  std::uint64_t published = 0;
  std::uint64_t lost_races = 0;  ///< the entry was there already when it was to be published
  std::uint64_t publish_failures = 0;
  std::uint64_t read_failures = 0;
  std::uint64_t damaged = 0;        ///< files that were found unusable
  std::uint64_t wait_timeouts = 0;  ///< compiled here although another process was at it
  std::uint64_t bytes_read = 0;
  std::uint64_t bytes_written = 0;

  friend bool operator==(const CacheCounters&, const CacheCounters&) = default;
};

/// Every counter under the name it is stored and shown by.
inline constexpr struct {
  std::string_view name;
  std::uint64_t CacheCounters::* value;
} cache_counter_fields[] = {
    {"hits", &CacheCounters::hits},
    {"misses", &CacheCounters::misses},
    {"shared", &CacheCounters::shared},
    {"compiles", &CacheCounters::compiles},
    {"compile_milliseconds", &CacheCounters::compile_milliseconds},
    {"published", &CacheCounters::published},
    {"lost_races", &CacheCounters::lost_races},
    {"publish_failures", &CacheCounters::publish_failures},
    {"read_failures", &CacheCounters::read_failures},
    {"damaged", &CacheCounters::damaged},
    {"wait_timeouts", &CacheCounters::wait_timeouts},
    {"bytes_read", &CacheCounters::bytes_read},
    {"bytes_written", &CacheCounters::bytes_written},
};

CacheCounters operator+(const CacheCounters& a, const CacheCounters& b);
CacheCounters operator-(const CacheCounters& a, const CacheCounters& b);

/// One "name value" a line, and back. Lines that cannot be read are skipped: a counter is never
/// worth an error.
std::string to_text(const CacheCounters& counters);
CacheCounters parse_counters(std::string_view text);

}  // namespace streamattn

// Arithmetic and text of cache counters.
#include "runtime/cache/counters.h"

#include <llvm/ADT/StringRef.h>

namespace streamattn {

CacheCounters operator+(const CacheCounters& a, const CacheCounters& b) {
  CacheCounters sum;
  for (const auto& field : cache_counter_fields) sum.*field.value = a.*field.value + b.*field.value;
  return sum;
}

CacheCounters operator-(const CacheCounters& a, const CacheCounters& b) {
  CacheCounters rest;
  for (const auto& field : cache_counter_fields) {
    rest.*field.value = a.*field.value - b.*field.value;
  }
  return rest;
}

std::string to_text(const CacheCounters& counters) {
  std::string text;
  for (const auto& field : cache_counter_fields) {
    text += std::string(field.name) + " " + std::to_string(counters.*field.value) + "\n";
  }
  return text;
}

CacheCounters parse_counters(std::string_view text) {
  CacheCounters counters;
  for (llvm::StringRef rest(text.data(), text.size()); !rest.empty();) {
    auto [line, tail] = rest.split('\n');
    const auto [name, number] = line.split(' ');
    std::uint64_t value = 0;
    for (const auto& field : cache_counter_fields) {
      if (name == llvm::StringRef(field.name.data(), field.name.size()) &&
          !number.getAsInteger(10, value)) {
        counters.*field.value = value;
      }
    }
    rest = tail;
  }
  return counters;
}

}  // namespace streamattn

// Buckets of lengths.
#include "autotune/length_lists.h"

#include <llvm/ADT/SmallVector.h>
#include <llvm/ADT/StringExtras.h>
#include <llvm/ADT/StringRef.h>
#include <llvm/Support/FormatVariadic.h>
#include <llvm/Support/MathExtras.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "streamattn/error.h"

namespace streamattn {
namespace {

std::int64_t power_of_two(std::int64_t length) {
  return static_cast<std::int64_t>(llvm::PowerOf2Ceil(static_cast<std::uint64_t>(length)));
}

using Call = std::pair<std::int64_t, std::int64_t>;  // q_len, kv_len

/// The call in a line of a trace; nothing where it is not one.
std::optional<Call> parse_call(llvm::StringRef line) {
  llvm::SmallVector<llvm::StringRef> cells;
  line.split(cells, ',');
  std::vector<std::int64_t> numbers;
  for (const llvm::StringRef cell : cells) {
    std::int64_t number = 0;
    if (cell.trim().getAsInteger(10, number) || number < 1 || number > longest_length)
      return std::nullopt;
    numbers.push_back(number);
  }
  if (numbers.size() == 1) return Call(numbers[0], numbers[0]);
  if (numbers.size() == 2) return Call(numbers[0], numbers[1]);
  return std::nullopt;
}

}  // namespace

Lengths key_bucket_of(std::int64_t length) {
  if (length < 1) return {0, 0};
  const std::int64_t end = power_of_two(length);
  return {end / 2 + 1, end};
}

Lengths query_bucket_of(std::int64_t length) {
  if (length == 1) return {1, 1};
  if (length > 1 && length <= 16) return {2, 16};
  return key_bucket_of(length);
}

std::vector<LengthBucket> square_buckets(const Lengths& lengths) {
  std::vector<LengthBucket> buckets;
  for (std::int64_t first = lengths.first; first <= lengths.last;) {
    const Lengths bucket{first, std::min(power_of_two(first), lengths.last)};
    const std::int64_t middle = bucket.first + (bucket.last - bucket.first) / 2;
    buckets.push_back({.q_len = bucket, .kv_len = bucket, .points = {{bucket.last, bucket.last}}});
    if (middle < bucket.last) buckets.back().points.emplace_back(middle, middle);
    first = bucket.last + 1;
  }
  return buckets;
}

std::vector<LengthBucket> random_lengths(std::int64_t count, const Lengths& lengths,
                                         std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const double first = std::log(static_cast<double>(lengths.first));
  const double last = std::log(static_cast<double>(lengths.last));
  std::vector<LengthBucket> drawn;
  for (std::int64_t i = 0; i < count; i++) {
    const double part = static_cast<double>(random() >> 11) * 0x1p-53;
    const std::int64_t length = std::llround(std::exp(first + part * (last - first)));
    drawn.push_back({{length, length}, {length, length}, {{length, length}}});
  }
  return drawn;
}

std::vector<LengthBucket> trace_buckets(std::string_view csv, std::string_view origin) {
  std::map<std::pair<std::int64_t, std::int64_t>, std::vector<Call>> calls;  // by ends of buckets
  int number = 0;
  for (llvm::StringRef line : llvm::split(llvm::StringRef(csv.data(), csv.size()), '\n')) {
    number++;
    line = line.trim();
    if (line.empty() || line.starts_with("#")) continue;
    const auto call = parse_call(line);
    const bool is_header = number == 1 && !line.empty() && llvm::isAlpha(line.front());
    if (!call && is_header) continue;
    if (!call)
      throw Error(ErrorCode::invalid_config,
                  llvm::formatv("{0}:{1}: \"{2}\" is no call: needs kv_len, or q_len,kv_len, from "
                                "1 on",
                                origin, number, line.take_front(40)));
    calls[{query_bucket_of(call->first).last, key_bucket_of(call->second).last}].push_back(*call);
  }
  std::vector<LengthBucket> buckets;
  for (auto& [ends, list] : calls) {
    std::ranges::sort(list, {}, [](const Call& c) { return std::pair(c.second, c.first); });
    LengthBucket bucket{.q_len = query_bucket_of(ends.first),
                        .kv_len = key_bucket_of(ends.second),
                        .points = {list.back()},
                        .weight = static_cast<double>(list.size())};
    const Call median = list[list.size() / 2];
    if (median != list.back()) bucket.points.push_back(median);
    buckets.push_back(std::move(bucket));
  }
  if (buckets.empty())
    throw Error(ErrorCode::invalid_config, std::string(origin) + ": the trace has no calls");
  return buckets;
}

}  // namespace streamattn

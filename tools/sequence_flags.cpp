// Reads the lengths and layouts of sequences from flags.
#include <algorithm>

#include "streamattn/error.h"
#include "tools/problem_flags.h"

namespace streamattn {
namespace {

void require_lengths(const char* flag, const std::vector<std::int64_t>& lengths) {
  for (const std::int64_t length : lengths)
    if (length < 0)
      throw Error(ErrorCode::invalid_config,
                  std::string(flag) + ": " + std::to_string(length) + " is below 0");
}

void require_count(const char* flag, std::size_t found, std::int64_t needed, const char* origin) {
  if (static_cast<std::int64_t>(found) == needed) return;
  throw Error(ErrorCode::invalid_config, std::string(flag) + " gives " + std::to_string(found) +
                                             " lengths, needs " + std::to_string(needed) + " (" +
                                             origin + ")");
}

}  // namespace

void SequenceFlags::add_to(Flags& flags) {
  flags.add("lengths", "N,N,...", "tokens of K of each sequence, which are the batch", lengths_);
  flags.add("q-lengths", "N,N,...", "tokens of Q of each sequence (q-len)", q_lengths_);
  flags.add("packed", "sequences one behind the other: Q, and K and V unless they are paged",
            packed_);
  flags.add("paged", "N", "K and V in pages of N tokens", page_size_);
}

void SequenceFlags::apply_to(ForwardCase& call, std::optional<std::int64_t> batch) const {
  require_lengths("--lengths", lengths_);
  require_lengths("--q-lengths", q_lengths_);
  if (page_size_ && *page_size_ < 1)
    throw Error(ErrorCode::invalid_config,
                "--paged is " + std::to_string(*page_size_) + ", needs 1 or more");
  Problem& problem = call.problem;
  if (packed_) problem.q_layout = problem.kv_layout = SequenceLayout::packed;
  if (page_size_) problem.kv_layout = SequenceLayout::paged;
  problem.q_lens = !q_lengths_.empty() && !packed_;
  problem.kv_lens = !lengths_.empty() && problem.kv_layout != SequenceLayout::packed;
  call.lengths = {q_lengths_, lengths_, page_size_.value_or(call.lengths.page_size)};
  if (!lengths_.empty()) {
    if (batch) require_count("--lengths", lengths_.size(), *batch, "--batch");
    call.shape.batch = static_cast<std::int64_t>(lengths_.size());
    call.shape.kv_len = *std::ranges::max_element(lengths_);
  }
  if (!q_lengths_.empty()) {
    if (batch || !lengths_.empty())
      require_count("--q-lengths", q_lengths_.size(), call.shape.batch, "the batch");
    call.shape.batch = static_cast<std::int64_t>(q_lengths_.size());
    call.shape.q_len = *std::ranges::max_element(q_lengths_);
  }
}

}  // namespace streamattn

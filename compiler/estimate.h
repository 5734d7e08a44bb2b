// What a schedule would take and how long, by a model: which ones a tuner tries first.
#pragma once

#include <cstdint>
#include <vector>

#include "streamattn/compiler.h"

namespace streamattn {

/// Answers of a model. They rank schedules of one problem; none of them is a promise.
struct Estimate {
  int registers = 0;         ///< of a thread that computes; 0 on the CPU
  int smem_bytes = 0;        ///< of a block; 0 on the CPU
  double traffic_bytes = 0;  ///< read and written by all blocks, past their own memory
  double waves = 0;          ///< work items per multiprocessor, or per core
  double microseconds = 0;
};

/// The model of the schedule's family; all zero where that has none. The schedule is legal.
Estimate estimate(const Problem& problem, const Schedule& schedule, const Shape& shape,
                  const Target& target);

/// `schedule`, then those that differ from it in launch knobs alone and are worth measuring.
std::vector<Schedule> launch_choices(const Problem& problem, const Schedule& schedule,
                                     const Shape& shape, const Target& target);

/// Keys that queries [q_first, q_end) of a call walk over, at most `kv_len`: by closed form, or all
/// where values of names decide. Positions are global.
std::int64_t walked_keys(const Expr& mask, std::int64_t q_first, std::int64_t q_end,
                         std::int64_t kv_len);

}  // namespace streamattn

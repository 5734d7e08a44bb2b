// One call on dense tensors, as benchmarks and checks state it.
#pragma once

#include <cstdint>
#include <optional>

#include "streamattn/forward.h"
#include "streamattn/operation.h"

namespace streamattn {

/// Order of a dense tensor's dimensions.
enum class DenseLayout { bshd, bhsd };

/// One call on dense tensors.
struct Call {
  Operation operation = Operation::forward;
  Problem problem;
  Shape shape;
  DenseLayout layout = DenseLayout::bshd;
  std::optional<float> scale = {};
  std::optional<std::int64_t> q_offset = {};
  std::int64_t k_offset = 0;
  std::optional<Rows> q_rows = {}, kv_rows = {};
  int max_sms = 0;

  std::int64_t heads() const { return shape.kv_heads * problem.group_size; }
};

}  // namespace streamattn

// A call of flash_wgmma and its plan, without a device.
#pragma once

#include <string>
#include <vector>

#include "compiler/families/flash_wgmma/flash_wgmma.h"
#include "streamattn/error.h"
#include "streamattn/masks.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

namespace streamattn {

inline const Target& hopper() { return find_target("sm_90a"); }

/// A call at addresses that nobody reads, for a test to break.
struct FlashPlanFixture {
  Problem problem{.dtype = DType::bf16, .head_dim = 64, .group_size = 2, .mask = causal()};
  Schedule schedule =
      parse_schedule("packed_heads=1", choose(Operation::forward, problem, {}, hopper()).schedule);
  ForwardCall call{.q = at(1, DType::bf16, 10, 4, 64),
                   .k = at(2, DType::bf16, 30, 2, 64),
                   .v = at(3, DType::bf16, 30, 2, 64),
                   .o = at(4, DType::bf16, 10, 4, 64),
                   .lse = at(5, DType::f32, 10, 4, 1),
                   .q_position = 20,
                   .k_position = 0,
                   .scale = 0.125F,
                   .max_sms = 0};
  std::vector<BoxedTensor> boxes;
  int maps = 0, words = 0;
  unsigned word = 0;

  static Tensor at(int part, DType type, std::int64_t seq, std::int64_t heads, std::int64_t dim) {
    return Tensor::bshd(reinterpret_cast<void*>(std::intptr_t{part} << 20), type, 2, seq, heads,
                        dim);
  }

  Plan planned(WorkspaceSlices& slices) {
    boxes.clear();
    const auto encode = [&](const char*, const BoxedTensor& box) {
      boxes.push_back(box);
      return maps++, TensorMap{};
    };
    const auto zero_words = [&](int count) { return words += count, &word; };
    return plan(problem, schedule, call, {132, hopper().l2_bytes, encode, zero_words}, slices);
  }
  Plan planned() {
    WorkspaceSlices slices;
    return planned(slices);
  }

  std::string complaint() {
    return refusal_of([&] { planned(); });
  }
};

}  // namespace streamattn

// A backward call whose plan tests look at.
#pragma once

#include <cstring>

#include "compiler/families/backward_wgmma/backward_wgmma.h"
#include "compiler/family_answers.h"
#include "streamattn/compiler.h"

namespace streamattn {

/// A call at addresses that nobody reads, for a test to break.
struct BackwardPlanFixture {
  static const Target& hopper() { return find_target("sm_90a"); }

  Problem problem{.dtype = DType::bf16, .head_dim = 64, .group_size = 2, .mask = causal()};
  Schedule schedule = choose(Operation::backward, problem, {}, hopper()).schedule;
  BackwardCall call = fresh();

  static BackwardCall fresh() {
    return {.forward = {.q = at(1, DType::bf16, 300, 4, 64),
                        .k = at(2, DType::bf16, 500, 2, 64),
                        .v = at(3, DType::bf16, 500, 2, 64),
                        .o = at(4, DType::bf16, 300, 4, 64),
                        .lse = at(5, DType::f32, 300, 4, 1),
                        .q_position = 200,
                        .k_position = 0,
                        .scale = 0.125F,
                        .max_sms = 0},
            .d_o = at(6, DType::bf16, 300, 4, 64),
            .d_q = at(7, DType::bf16, 300, 4, 64),
            .d_k = at(8, DType::bf16, 500, 2, 64),
            .d_v = at(9, DType::f32, 500, 2, 64),
            .accumulate = false,
            .gradients = {}};
  }

  static Tensor at(int part, DType type, std::int64_t seq, std::int64_t heads, std::int64_t dim) {
    return Tensor::bshd(reinterpret_cast<void*>(std::intptr_t{part} << 20), type, 2, seq, heads,
                        dim);
  }

  Plan planned(WorkspaceSlices& slices) {
    const auto encode = [](const char*, const BoxedTensor&) { return TensorMap{}; };
    const auto no_words = [](int) -> unsigned* { return nullptr; };
    return plan(problem, schedule, call, {132, hopper().l2_bytes, encode, no_words}, slices);
  }
  Plan planned() {
    WorkspaceSlices slices;
    return planned(slices);
  }
  const KernelLaunch& launch(const Plan& steps, std::size_t i) {
    return std::get<KernelLaunch>(steps[i]);
  }
  std::size_t bytes() { return workspace_bytes(problem, schedule, call, 132, hopper().l2_bytes); }
};

}  // namespace streamattn

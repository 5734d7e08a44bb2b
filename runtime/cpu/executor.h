// The host CPU as an executor.
#pragma once

#include "runtime/cpu/forward.h"
#include "runtime/executor.h"

namespace streamattn {

class CpuExecutor final : public Executor {
 public:
  CpuExecutor(Problem problem, const Schedule& schedule)
      : problem_(std::move(problem)),
        exprs_(problem_),
        tile_{side(schedule, "tile_q"), side(schedule, "tile_kv")} {}

  std::size_t workspace_bytes(const ResolvedCall&) const override { return 0; }

  void run(const ResolvedCall& call, const Workspace&, Stream) const override {
    cpu_forward(problem_, exprs_, tile_, std::get<ForwardCall>(call));
  }

 private:
  static int side(const Schedule& schedule, const char* knob) {
    return static_cast<int>(std::get<std::int64_t>(schedule.get(knob)));
  }

  Problem problem_;
  FlatProblem exprs_;
  CpuTileSides tile_;
};

}  // namespace streamattn

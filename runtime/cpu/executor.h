// The host CPU as an executor: one for each operation.
#pragma once

#include "runtime/cpu/backward.h"
#include "runtime/cpu/forward.h"
#include "runtime/executor.h"

namespace streamattn {

class CpuExecutor : public Executor {
 public:
  CpuExecutor(Problem problem, const Schedule& schedule)
      : problem_(std::move(problem)),
        exprs_(problem_),
        tile_{side(schedule, "tile_q"), side(schedule, "tile_kv")} {}

  std::size_t workspace_bytes(const ResolvedCall&) const override { return 0; }

 protected:
  Problem problem_;
  FlatProblem exprs_;
  CpuTileSides tile_;

 private:
  static int side(const Schedule& schedule, const char* knob) {
    return static_cast<int>(std::get<std::int64_t>(schedule.get(knob)));
  }
};

class CpuForwardExecutor final : public CpuExecutor {
 public:
  using CpuExecutor::CpuExecutor;

  void run(const ResolvedCall& call, const Workspace&, Stream) const override {
    cpu_forward(problem_, exprs_, tile_, std::get<ForwardCall>(call));
  }
};

class CpuBackwardExecutor final : public CpuExecutor {
 public:
  CpuBackwardExecutor(Problem problem, const Schedule& schedule)
      : CpuExecutor(std::move(problem), schedule), slopes_(problem_) {}

  void run(const ResolvedCall& call, const Workspace&, Stream) const override {
    cpu_backward(problem_, exprs_, slopes_, tile_, std::get<BackwardCall>(call));
  }

 private:
  FlatSlopes slopes_;
};

inline std::unique_ptr<const Executor> cpu_executor(Operation operation, const Problem& problem,
                                                    const Schedule& schedule) {
  if (operation == Operation::backward)
    return std::make_unique<CpuBackwardExecutor>(problem, schedule);
  return std::make_unique<CpuForwardExecutor>(problem, schedule);
}

}  // namespace streamattn

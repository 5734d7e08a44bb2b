// The host CPU as an executor: one for each operation.
#pragma once

#include "runtime/cpu/append.h"
#include "runtime/cpu/backward.h"
#include "runtime/cpu/forward.h"
#include "runtime/cpu/merge.h"
#include "runtime/executor.h"

namespace streamattn {

class CpuExecutor : public Executor {
 public:
  std::size_t workspace_bytes(const ResolvedCall&) const override { return 0; }

 protected:
  static int knob(const Schedule& schedule, const char* name) {
    return static_cast<int>(std::get<std::int64_t>(schedule.get(name)));
  }
};

/// Of operations that compute scores by tiles.
class CpuTiledExecutor : public CpuExecutor {
 public:
  CpuTiledExecutor(Problem of, const Schedule& schedule)
      : problem(std::move(of)),
        exprs(problem),
        tile{knob(schedule, "tile_q"), knob(schedule, "tile_kv")} {}

 protected:
  Problem problem;
  FlatProblem exprs;
  CpuTileSides tile;
};

class CpuForwardExecutor final : public CpuTiledExecutor {
 public:
  using CpuTiledExecutor::CpuTiledExecutor;

  void run(const ResolvedCall& call, const Workspace&, Stream) const override {
    cpu_forward(problem, exprs, tile, std::get<ForwardCall>(call));
  }
};

class CpuBackwardExecutor final : public CpuTiledExecutor {
 public:
  CpuBackwardExecutor(Problem of, const Schedule& schedule)
      : CpuTiledExecutor(std::move(of), schedule), slopes_(problem) {}

  void run(const ResolvedCall& call, const Workspace&, Stream) const override {
    cpu_backward(problem, exprs, slopes_, tile, std::get<BackwardCall>(call));
  }

 private:
  FlatSlopes slopes_;
};

class CpuAppendExecutor final : public CpuExecutor {
 public:
  explicit CpuAppendExecutor(const Schedule& schedule) : tile_q_(knob(schedule, "tile_q")) {}

  void run(const ResolvedCall& call, const Workspace&, Stream) const override {
    cpu_append(tile_q_, std::get<AppendCall>(call));
  }

 private:
  int tile_q_;
};

class CpuMergeExecutor final : public CpuExecutor {
 public:
  explicit CpuMergeExecutor(const Schedule& schedule) : tile_q_(knob(schedule, "tile_q")) {}

  void run(const ResolvedCall& call, const Workspace&, Stream) const override {
    cpu_merge(tile_q_, std::get<MergeCall>(call));
  }

 private:
  int tile_q_;
};

inline std::unique_ptr<const Executor> cpu_executor(Operation operation, const Problem& problem,
                                                    const Schedule& schedule) {
  switch (operation) {
    case Operation::backward:
      return std::make_unique<CpuBackwardExecutor>(problem, schedule);
    case Operation::append:
      return std::make_unique<CpuAppendExecutor>(schedule);
    case Operation::merge:
      return std::make_unique<CpuMergeExecutor>(schedule);
    case Operation::forward:
      break;
  }
  return std::make_unique<CpuForwardExecutor>(problem, schedule);
}

}  // namespace streamattn

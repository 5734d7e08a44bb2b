// The host CPU as an executor.
#pragma once

#include "runtime/cpu/forward.h"
#include "runtime/executor.h"

namespace streamattn {

class CpuExecutor final : public Executor {
 public:
  CpuExecutor(Problem problem, Schedule schedule)
      : problem_(std::move(problem)), schedule_(std::move(schedule)) {}

  std::size_t workspace_bytes(const ResolvedCall&) const override { return 0; }

  void run(const ResolvedCall& call, const Workspace&, Stream) const override {
    cpu_forward(problem_, schedule_, std::get<ForwardCall>(call));
  }

 private:
  Problem problem_;
  Schedule schedule_;
};

}  // namespace streamattn

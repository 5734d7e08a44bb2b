// The registers that the warpgroups of a block hand on by setmaxnreg.
#pragma once

#include <vector>

#include "emulator/threads.h"

namespace streamattn::emulator {

class Registers {
 public:
  /// `at_launch` for every thread.
  Registers(Threads& threads, int at_launch)
      : threads_(threads), warps_(threads.warps(), Warp{at_launch, 0}) {}

  /// setmaxnreg, for the current thread's warp.
  void set(int count, bool grow, Site at);

  int spare() const { return spare_; }

 private:
  struct Warp {
    int held, requested;  // by a thread
  };

  void grant();

  Threads& threads_;
  std::vector<Warp> warps_;
  int spare_ = 0;
};

}  // namespace streamattn::emulator

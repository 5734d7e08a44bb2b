// The matrix instructions of one warp between their issue and the wait that completes them.
#pragma once

#include <array>
#include <deque>
#include <list>
#include <string>
#include <vector>

#include "emulator/operand.h"

namespace streamattn::emulator {

/// A warp's share of its warpgroup's wgmmas: 16 of the 64 rows. An instruction is executed as late
/// as it may be, when a wait asks for its group: only then are its operands read from shared memory
/// and are its results in registers. Until then the registers of D hold in_flight_bits.
class WgmmaQueue {
 public:
  using LaneCalls = std::array<const WgmmaCall*, 32>;

  /// `actor` reads shared memory for the queue; its events number the instructions.
  WgmmaQueue(SharedMemory& memory, Actor actor, int warp)
      : memory_(memory), actor_(actor), warp_(warp) {}

  Actor actor() const { return actor_; }

  /// wgmma.fence. It is due before the first instruction and again after registers were touched.
  void fence() { fenced_ = true; }

  /// Issues the instruction that every lane calls. `clocks` are those of the lanes.
  void issue(const LaneCalls& calls, const std::array<const Clock*, 32>& clocks, Site site);

  void commit() { ++committed_; }

  /// Executes all but the last `pending` groups. Returns the number of the last instruction that is
  /// complete.
  std::uint32_t wait(int pending);

  /// A lane reads or writes these registers of its own. Throws Violation if an instruction in
  /// flight uses them.
  void touch(int lane, const void* registers, int bytes);

  /// "the wgmma at a.cuh:1" of the oldest instruction in flight, for messages.
  std::string oldest() const;

  bool idle() const { return operations_.empty(); }

 private:
  /// A tile of D that instructions in flight build up.
  struct Accumulator {
    int n;
    std::array<float*, 32> registers;  // of the lanes
    std::vector<float> values;         // (16, n)
    int in_flight;                     // instructions
  };

  struct Operation {
    WgmmaCall call;  // lane 0's
    Site site;
    std::uint32_t number;
    int group;
    std::list<Accumulator>::iterator accumulator;
    std::array<const unsigned*, 32> a_registers;
    std::array<std::array<unsigned, 4>, 32> a;
  };

  std::list<Accumulator>::iterator accumulator_for(const LaneCalls& calls);
  void record_reads(const WgmmaCall& call, const std::array<const Clock*, 32>& clocks,
                    const Access& access);
  void execute(const Operation& operation);
  static void write_back(const Accumulator& accumulator, const Operation& operation);
  void decode_a(const Operation& operation, float* to);
  Operand a_operand(const WgmmaCall& call) const;
  static Operand b_operand(const WgmmaCall& call);

  SharedMemory& memory_;
  Actor actor_;
  int warp_;
  bool fenced_ = false;
  int committed_ = 0;  // groups
  std::uint32_t issued_ = 0, completed_ = 0;
  std::list<Accumulator> accumulators_;
  std::deque<Operation> operations_;
};

}  // namespace streamattn::emulator

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
/// as it may be, when a wait asks for its group: only then are its operands read from shared
/// memory. Its results are in registers from the first pin behind the wait on, since in front of
/// that the compiler may have put what reads them before the wait. Until then the registers of D
/// hold in_flight_bits.
class WgmmaQueue {
 public:
  using LaneCalls = std::array<const WgmmaCall*, 32>;

  using LaneClocks = std::array<const Clock*, 32>;

  /// `actor` reads shared memory for the queue; its events number the instructions.
  WgmmaQueue(SharedMemory& memory, Actor actor, unsigned block, int warp)
      : memory_(memory), actor_(actor), block_(block), warp_(warp) {}

  Actor actor() const { return actor_; }

  /// wgmma.fence. It is due before the first instruction and again after registers were touched.
  void fence() { fenced_ = true; }

  /// Issues the instruction that every lane calls. `clocks` are those of the lanes. Throws
  /// Violation for registers that changed after their last pin, and for all that wgmma does not
  /// allow.
  void issue(const LaneCalls& calls, const LaneClocks& clocks, Site site);

  void commit() { ++committed_; }

  /// Executes all but the last `pending` groups. Returns the number of the last instruction that is
  /// complete.
  std::uint32_t wait(int pending);

  /// A lane pins these registers of its own: it may have read and written them before and will
  /// after. Throws Violation if an instruction in flight uses them.
  void touch(int lane, const void* registers, int bytes);

  /// "the wgmma at a.cuh:1 is in flight" of the oldest that is, for messages.
  std::string oldest() const;

  /// The same, or what there is to say of accumulators that were not pinned since the wait.
  std::string unfinished() const;

  bool idle() const { return operations_.empty(); }

 private:
  /// A tile of D that instructions in flight build up, or have built up.
  struct Accumulator {
    int n;
    std::array<float*, 32> registers;  // of the lanes
    std::vector<float> values;         // (16, n)
    int in_flight;                     // instructions
    Site site;                         // of the last of them
    std::uint32_t pinned = 0;          // lanes that have their values
  };

  /// Registers of a lane as it last pinned them.
  struct Pin {
    const char* begin;
    std::vector<char> bits;
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

  std::list<Accumulator>::iterator accumulator_for(const LaneCalls& calls, Site site);
  void record_reads(const WgmmaCall& call, const LaneClocks& clocks, const Access& access);
  void check_pinned(int lane, const char* operand, const void* registers, int bytes) const;
  void execute(const Operation& operation);
  void check_in_flight(int lane, const void* registers, int bytes) const;
  void deliver(int lane, const void* registers, int bytes);
  static void write_back(const Accumulator& accumulator, int lane);
  void decode_a(const Operation& operation, float* to);
  Operand a_operand(const WgmmaCall& call) const;
  static Operand b_operand(const WgmmaCall& call);

  SharedMemory& memory_;
  Actor actor_;
  unsigned block_;
  int warp_;
  bool fenced_ = false;
  int committed_ = 0;  // groups
  std::uint32_t issued_ = 0, completed_ = 0;
  std::list<Accumulator> accumulators_;
  std::deque<Operation> operations_;
  std::array<std::vector<Pin>, 32> pins_;  // of the lanes
};

}  // namespace streamattn::emulator

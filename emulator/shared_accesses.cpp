// Plain accesses, matrix moves and the proxy fence.
#include "emulator/shared_accesses.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace streamattn::emulator {
namespace {

constexpr int lanes = Threads::lanes;

// One 16-bit element of lane l in the 8x8 matrices: row l / 4, columns 2 (l % 4) and the next.
unsigned pair_offset(int lane) { return static_cast<unsigned>(lane % 4 * 4); }

struct MatrixArgument {
  unsigned address;
  unsigned registers[4];
};

}  // namespace

void SharedAccesses::store(unsigned address, const void* from, Site at) {
  const Clock& clock = threads_.enter(at).clock;
  // Elements of a tile may be changed in their places.
  memory_.write(address, clock, threads_.plain_access(at), memory_.origin(address));
  std::memcpy(memory_.at(address), from, SharedMemory::granule);
}

void SharedAccesses::load(unsigned address, void* to, Site at) {
  const Clock& clock = threads_.enter(at).clock;
  memory_.read(address, clock, threads_.plain_access(at));
  std::memcpy(to, memory_.at(address), SharedMemory::granule);
}

void SharedAccesses::load_matrix_x4(unsigned address, unsigned (&registers)[4], Site at) {
  const Clock& clock = threads_.enter(at).clock;
  memory_.read(address, clock, threads_.plain_access(at));
  MatrixArgument argument = {address, {}};
  threads_.converge(
      "ldmatrix", at,
      [&] {
        Scheduler& all = threads_.scheduler();
        for (int l = 0; l < lanes; l++)
          for (int m = 0; m < 4; m++) {
            const unsigned row = all.argument<MatrixArgument>(m * 8 + l / 4).address;
            std::memcpy(&all.argument<MatrixArgument>(l).registers[m],
                        memory_.at(row) + pair_offset(l), 4);
          }
      },
      &argument);
  std::memcpy(registers, argument.registers, sizeof(registers));
}

void SharedAccesses::store_matrix_x4(unsigned address, const unsigned (&registers)[4], Site at) {
  const Clock& clock = threads_.enter(at).clock;
  memory_.write(address, clock, threads_.plain_access(at));
  MatrixArgument argument = {address, {}};
  std::memcpy(argument.registers, registers, sizeof(registers));
  threads_.converge(
      "stmatrix", at,
      [&] {
        Scheduler& all = threads_.scheduler();
        for (int l = 0; l < lanes; l++)
          for (int m = 0; m < 4; m++) {
            const unsigned row = all.argument<MatrixArgument>(m * 8 + l / 4).address;
            std::memcpy(memory_.at(row) + pair_offset(l),
                        &all.argument<MatrixArgument>(l).registers[m], 4);
          }
      },
      &argument);
}

// Lanes behind the last matrix give addresses that nobody reads.
void SharedAccesses::store_transposed(unsigned address, std::span<const unsigned> registers,
                                      Site at) {
  const int matrices = static_cast<int>(registers.size());
  const Clock& clock = threads_.enter(at).clock;
  if (threads_.lane() < 8 * matrices) memory_.write(address, clock, threads_.plain_access(at));
  MatrixArgument argument = {address, {}};
  std::ranges::copy(registers, argument.registers);
  threads_.converge(
      "stmatrix", at,
      [&, matrices] {
        Scheduler& all = threads_.scheduler();
        for (int l = 0; l < lanes; l++)
          for (int m = 0; m < matrices; m++)
            for (int half = 0; half < 2; half++) {
              const int row = l % 4 * 2 + half;
              const auto element = static_cast<std::uint16_t>(
                  all.argument<MatrixArgument>(l).registers[m] >> 16 * half);
              const unsigned to = all.argument<MatrixArgument>(m * 8 + row).address;
              std::memcpy(memory_.at(to) + l / 4 * 2, &element, sizeof(element));
            }
      },
      &argument);
}

void SharedAccesses::store_matrix_x2_transposed(unsigned address, const unsigned (&registers)[2],
                                                Site at) {
  store_transposed(address, registers, at);
}

void SharedAccesses::store_matrix_x4_transposed(unsigned address, const unsigned (&registers)[4],
                                                Site at) {
  store_transposed(address, registers, at);
}

void SharedAccesses::fence_to_async(Site at) {
  Threads::Thread& thread = threads_.enter(at);
  thread.clock.fenced_shared.learn(thread.clock.seen);
  Threads::tick(thread);
}

}  // namespace streamattn::emulator

// A block's shared memory, and for every 16 bytes of it who wrote and who reads them.
#pragma once

#include <cstddef>
#include <vector>

#include "emulator/access.h"

namespace streamattn::emulator {

/// What a granule holds of a tensor, where TMA put it there.
struct Origin {
  const void* tensor = nullptr;
  int row = 0, column = 0;  // in elements
  int entry = 0;            // of the batch, or page
};

/// Accesses are in granules of 16 bytes, as all instructions that the templates use have them.
/// Operations are checked and recorded when they are issued, the bytes move when they execute:
/// an access conflicts with another unless the one who asks knows that the other is complete.
class SharedMemory {
 public:
  static constexpr unsigned granule = 16;
  static constexpr unsigned first_address = 1024;  // the hardware keeps what is below

  explicit SharedMemory(int bytes);

  /// The 16 bytes at `address`, which has passed a check of an access.
  std::byte* at(unsigned address) { return bytes_.data() + (address - first_address); }

  /// Throws Violation unless whoever knows `clock` may read, respectively write, the granule, and
  /// records the access.
  void read(unsigned address, const Clock& clock, const Access& access);
  void write(unsigned address, const Clock& clock, const Access& access, Origin origin = {});

  /// A write after which nothing but mbarrier instructions may touch the granule.
  void give_to_mbarrier(unsigned address, const Clock& clock, const Access& access);

  Origin origin(unsigned address) { return granule_at(address).origin; }

 private:
  struct Granule {
    bool written = false, holds_mbarrier = false;
    Access write;
    Origin origin;
    std::vector<Access> reads;  // since it was written, the last one of each actor
  };

  Granule& granule_at(unsigned address);
  void overwrite(unsigned address, Granule& found, const Clock& clock, const Access& access);
  static void check_after_write(unsigned address, const Granule& found, const Clock& clock,
                                const Access& access, const char* verb);

  std::vector<std::byte> bytes_;
  std::vector<Granule> granules_;
};

}  // namespace streamattn::emulator

// One side of a possible conflict about a place in memory.
#pragma once

#include <cstdint>
#include <string>

#include "emulator/clock.h"
#include "emulator/ptx/machine.h"

namespace streamattn::emulator {

/// How a byte of memory was reached.
enum class AccessKind { plain, atomic, copy_async, store_async, wgmma, tma_load, tma_store };

/// Whether it goes through the asynchronous proxy, for which accesses by threads need a fence.
constexpr bool is_async(AccessKind kind) {
  return kind == AccessKind::wgmma || kind == AccessKind::tma_load || kind == AccessKind::tma_store;
}

/// It is complete for those who know event `event` of `actor`.
struct Access {
  AccessKind kind;
  Actor actor;
  std::uint32_t event;
  Site site;
  unsigned block;  // of the launch
  int warp, lane;  // of the thread that asked for it
  bool is_second;  // it may store to elements of outputs once more
};

/// "the TMA load of warp 0 at parts/x.cuh:12", "warp 3, lane 0 at parts/x.cuh:12".
std::string text(const Access& access);

}  // namespace streamattn::emulator

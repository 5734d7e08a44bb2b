// What happened in an emulated launch, as a timeline for trace viewers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "emulator/ptx/machine.h"

namespace streamattn::emulator {

/// Waits, issues and deliveries of every warp. Time counts scheduler slices: the order is true for
/// this run, lengths mean nothing.
class Trace {
 public:
  /// Row of a block for its asynchronous loads.
  static constexpr int tma_row = -1;

  void span(unsigned block, int warp, const char* name, std::int64_t begin, std::int64_t end,
            Site site);
  void instant(unsigned block, int warp, const char* name, std::int64_t time, Site site);

  /// In the Trace Event Format, which Perfetto and chrome://tracing open.
  std::string json() const;

 private:
  struct Event {
    unsigned block;
    int warp;
    const char* name;
    std::int64_t begin, length;  // length -1: an instant
    std::string place;
  };
  std::vector<Event> events_;
};

}  // namespace streamattn::emulator

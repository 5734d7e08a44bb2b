// Issue, execution and register contracts of wgmma.
#include "emulator/wgmma_queue.h"

#include <algorithm>
#include <cstring>
#include <functional>

#include "emulator/violation.h"
#include "support/half.h"

namespace streamattn::emulator {
namespace {

constexpr int rows = 16, k_step = 16, lanes = 32;

// Place of register i of a lane in the warp's (16, n) tile of D.
int tile_index(int lane, int i, int n) {
  return (lane / 4 + i % 4 / 2 * 8) * n + i / 4 * 8 + lane % 4 * 2 + i % 2;
}

bool overlap(const void* a, int a_bytes, const void* b, int b_bytes) {
  const std::less<> before;
  const auto *a_begin = static_cast<const char*>(a), *b_begin = static_cast<const char*>(b);
  return before(a_begin, b_begin + b_bytes) && before(b_begin, a_begin + a_bytes);
}

bool same_instruction(const WgmmaCall& a, const WgmmaCall& b) {
  return a.bf16 == b.bf16 && a.accumulate == b.accumulate && a.b_mn_major == b.b_mn_major &&
         a.a_mn_major == b.a_mn_major && a.n == b.n && a.a_descriptor == b.a_descriptor &&
         a.b_descriptor == b.b_descriptor;
}

}  // namespace

Operand WgmmaQueue::a_operand(const WgmmaCall& call) const {
  const int first_row = warp_ % 4 * rows;
  return call.a_mn_major ? Operand(call.a_descriptor, 0, k_step, 2, first_row / 8)
                         : Operand(call.a_descriptor, first_row, rows, 2);
}

Operand WgmmaQueue::b_operand(const WgmmaCall& call) {
  return call.b_mn_major ? Operand(call.b_descriptor, 0, k_step, call.n / 8)
                         : Operand(call.b_descriptor, 0, call.n, 2);
}

void WgmmaQueue::issue(const LaneCalls& calls, const LaneClocks& clocks, Site site) {
  const WgmmaCall& call = *calls[0];
  for (const WgmmaCall* other : calls)
    if (!same_instruction(call, *other)) violate("lanes disagree about a wgmma's descriptors");
  if (!fenced_) violate("issues a wgmma, but registers were touched since the last wgmma_fence");
  record_reads(call, clocks, {AccessKind::wgmma, actor_, issued_ + 1, site, block_, warp_, 0});
  Operation operation{call, site, ++issued_, committed_, accumulator_for(calls, site), {}, {}};
  for (int lane = 0; lane < lanes && call.a != nullptr; lane++) {
    check_pinned(lane, "A", calls[lane]->a, 16);
    operation.a_registers[lane] = calls[lane]->a;
    std::memcpy(operation.a[lane].data(), calls[lane]->a, sizeof(operation.a[lane]));
  }
  operations_.push_back(operation);
}

// The bytes may be read from now on, until the wait. What lanes know differs where one of them
// waited for the others.
void WgmmaQueue::record_reads(const WgmmaCall& call, const LaneClocks& clocks,
                              const Access& access) {
  for (const Clock* clock : {clocks[0], clocks[lanes - 1]}) {
    if (call.a == nullptr) a_operand(call).read(memory_, *clock, access);
    b_operand(call).read(memory_, *clock, access);
  }
}

std::list<WgmmaQueue::Accumulator>::iterator WgmmaQueue::accumulator_for(const LaneCalls& calls,
                                                                         Site site) {
  const int n = calls[0]->n;
  auto found = accumulators_.begin();
  while (found != accumulators_.end() && found->registers[0] != calls[0]->d) ++found;
  if (found == accumulators_.end()) {
    found = accumulators_.insert(
        found, {n, {}, std::vector<float>(static_cast<std::size_t>(rows * n)), 0, site});
    for (int lane = 0; lane < lanes; lane++) {
      float* d = found->registers[lane] = calls[lane]->d;
      if (calls[lane]->accumulate) check_pinned(lane, "D", d, n * 2);
      for (int i = 0; i < n / 2; i++) found->values[tile_index(lane, i, n)] = d[i];
      for (int i = 0; i < n / 2; i++) std::memcpy(d + i, &in_flight_bits, sizeof(float));
    }
  }
  if (found->n != n) violate("issues a wgmma of width {0} into one of width {1}", n, found->n);
  found->in_flight++;
  found->site = site;
  return found;
}

// What changed behind the last pin, the compiler may move behind the fence.
void WgmmaQueue::check_pinned(int lane, const char* operand, const void* registers,
                              int bytes) const {
  const auto* begin = static_cast<const char*>(registers);
  for (const Pin& pin : pins_[lane]) {
    const std::ptrdiff_t offset = begin - pin.begin;
    if (offset < 0 || offset + bytes > static_cast<std::ptrdiff_t>(pin.bits.size())) continue;
    if (std::memcmp(pin.bits.data() + offset, begin, bytes) == 0) return;
    violate("issues a wgmma whose registers of {0} were changed after their last pin", operand);
  }
  violate("issues a wgmma whose registers of {0} were not pinned before", operand);
}

std::uint32_t WgmmaQueue::wait(int pending) {
  while (!operations_.empty() && operations_.front().group < committed_ - pending) {
    execute(operations_.front());
    operations_.pop_front();
  }
  fenced_ = false;  // what was waited for is about to be used
  return completed_;
}

void WgmmaQueue::decode_a(const Operation& operation, float* to) {
  if (operation.call.a == nullptr) {
    const bool transposed = operation.call.a_mn_major;
    return a_operand(operation.call)
        .decode(memory_, operation.call.bf16, to, transposed ? 1 : k_step, transposed ? k_step : 1);
  }
  for (int lane = 0; lane < lanes; lane++) {
    for (int i = 0; i < 4; i++) {
      const unsigned pair = operation.a[lane][i];
      float* out = to + (lane / 4 + i % 2 * 8) * k_step + lane % 4 * 2 + i / 2 * 8;
      for (int half = 0; half < 2; half++) {
        const auto bits = static_cast<std::uint16_t>(pair >> 16 * half);
        out[half] = operation.call.bf16 ? float_from_bf16(bits) : float_from_f16(bits);
      }
    }
  }
}

void WgmmaQueue::execute(const Operation& operation) {
  const WgmmaCall& call = operation.call;
  for (int lane = 0; lane < lanes && call.a != nullptr; lane++) {
    if (std::memcmp(operation.a_registers[lane], operation.a[lane].data(), 16) != 0)
      violate(
          "waits for the wgmma at {0}, whose registers of A were changed while it was in flight",
          text(operation.site));
  }
  float a[rows * k_step];
  std::vector<float> b(static_cast<std::size_t>(k_step * call.n));  // (k, n)
  decode_a(operation, a);
  if (call.b_mn_major)
    b_operand(call).decode(memory_, call.bf16, b.data(), call.n, 1);
  else
    b_operand(call).decode(memory_, call.bf16, b.data(), 1, call.n);

  Accumulator& accumulator = *operation.accumulator;
  if (!call.accumulate) std::fill(accumulator.values.begin(), accumulator.values.end(), 0.F);
  for (int r = 0; r < rows; r++) {
    float* d = accumulator.values.data() + r * call.n;
    for (int k = 0; k < k_step; k++) {
      const float factor = a[r * k_step + k];
      const float* row = b.data() + k * call.n;
      for (int n = 0; n < call.n; n++) d[n] += factor * row[n];
    }
  }
  completed_ = operation.number;
  accumulator.in_flight--;
}

void WgmmaQueue::touch(int lane, const void* registers, int bytes) {
  fenced_ = false;
  check_in_flight(lane, registers, bytes);
  deliver(lane, registers, bytes);
  const auto* begin = static_cast<const char*>(registers);
  auto& pins = pins_[lane];
  auto same =
      std::find_if(pins.begin(), pins.end(), [&](const Pin& p) { return p.begin == begin; });
  if (same == pins.end()) same = pins.insert(same, Pin{begin, {}});
  same->bits.assign(begin, begin + bytes);
}

void WgmmaQueue::check_in_flight(int lane, const void* registers, int bytes) const {
  for (const Operation& operation : operations_) {
    const char* state = operation.group < committed_ ? "was not waited for" : "was never committed";
    const Accumulator& accumulator = *operation.accumulator;
    if (overlap(registers, bytes, accumulator.registers[lane], accumulator.n * 2))
      violate("uses accumulators of the wgmma at {0}, which {1}", text(operation.site), state);
    if (operation.call.a != nullptr && overlap(registers, bytes, operation.a_registers[lane], 16))
      violate("changes registers of A of the wgmma at {0}, which {1}", text(operation.site), state);
  }
}

// Gives the lane its part of the accumulators that are complete.
void WgmmaQueue::deliver(int lane, const void* registers, int bytes) {
  for (auto found = accumulators_.begin(); found != accumulators_.end();) {
    Accumulator& accumulator = *found;
    const std::uint32_t mine = 1U << lane;
    if ((accumulator.pinned & mine) == 0 &&
        overlap(registers, bytes, accumulator.registers[lane], accumulator.n * 2)) {
      write_back(accumulator, lane);
      accumulator.pinned |= mine;
    }
    found = accumulator.pinned == ~0U ? accumulators_.erase(found) : std::next(found);
  }
}

void WgmmaQueue::write_back(const Accumulator& accumulator, int lane) {
  float* d = accumulator.registers[lane];
  for (int i = 0; i < accumulator.n / 2; i++) {
    unsigned found;
    std::memcpy(&found, d + i, sizeof(found));
    if (found != in_flight_bits)
      violate(
          "pins registers of the wgmma at {0}, whose accumulators were used while it was in "
          "flight, "
          "or behind the wait for it and in front of a pin",
          text(accumulator.site));
    d[i] = accumulator.values[tile_index(lane, i, accumulator.n)];
  }
}

std::string WgmmaQueue::unfinished() const {
  for (const Accumulator& accumulator : accumulators_)
    if (accumulator.in_flight == 0)
      return "the wgmma at " + text(accumulator.site) +
             " was waited for, but its accumulators not pinned since";
  return oldest();
}

std::string WgmmaQueue::oldest() const {
  return operations_.empty() ? "no wgmma is in flight"
                             : "the wgmma at " + text(operations_.front().site) + " is in flight";
}

}  // namespace streamattn::emulator

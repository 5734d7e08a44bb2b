// Cuts new rows into tiles, hands them to the cores, turns and copies them.
#include "runtime/cpu/append.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <new>
#include <vector>

#include "runtime/cpu/threads.h"
#include "streamattn/error.h"
#include "support/half.h"

namespace streamattn {
namespace {

using Place = AppendedRows::Place;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

std::byte* row_of(const Tensor& tensor, const Place& at, std::int64_t head) {
  return static_cast<std::byte*>(tensor.data) +
         (at.batch * tensor.batch_stride + at.seq * tensor.seq_stride + head * tensor.head_stride) *
             bytes(tensor.dtype);
}

// How elements become floats and back.
struct Bf16 {
  using Bits = std::uint16_t;
  static float to_float(Bits bits) { return float_from_bf16(bits); }
  static Bits from_float(float value) { return bf16_from_float(value); }
};
struct F16 {
  using Bits = std::uint16_t;
  static float to_float(Bits bits) { return float_from_f16(bits); }
  static Bits from_float(float value) { return f16_from_float(value); }
};
struct F32 {
  using Bits = float;
  static float to_float(Bits value) { return value; }
  static Bits from_float(float value) { return value; }
};

/// Turns pair i: columns i * step and i * step + other.
template <class Element>
void turn_pairs(const void* from_row, void* to_row, const float* cos, const float* sin,
                std::int64_t pairs, std::int64_t step, std::int64_t other) {
  const auto* from = static_cast<const typename Element::Bits*>(from_row);
  auto* to = static_cast<typename Element::Bits*>(to_row);
  for (std::int64_t i = 0; i < pairs; i++) {
    const float a = Element::to_float(from[i * step]);
    const float b = Element::to_float(from[i * step + other]);
    to[i * step] = Element::from_float(a * cos[i] - b * sin[i]);
    to[i * step + other] = Element::from_float(b * cos[i] + a * sin[i]);
  }
}

/// The sines and cosines of one position, and rows that are turned by them.
class Rotation {
 public:
  explicit Rotation(const RopeCall& rope) : rope_(rope), cos_(rope.dim / 2), sin_(rope.dim / 2) {}

  void move_to(std::int64_t position) {
    const Tensor& table = rope_.cos;
    const std::int64_t row = std::clamp<std::int64_t>(position, 0, std::max(table.seq - 1, 0L));
    for (std::size_t i = 0; i < cos_.size(); i++) {
      if (table.data != nullptr) {
        cos_[i] = static_cast<const float*>(table.data)[row * table.seq_stride + i];
        sin_[i] = static_cast<const float*>(rope_.sin.data)[row * rope_.sin.seq_stride + i];
      } else {
        const double angle = rope_angle(rope_.steps[i], position);
        cos_[i] = static_cast<float>(std::cos(angle));
        sin_[i] = static_cast<float>(std::sin(angle));
      }
    }
  }

  /// Writes a row of `dim` columns, turned; `to` may be `from`.
  void turn_row(const std::byte* from, std::byte* to, DType type, std::int64_t dim) const {
    if (to != from) {
      const std::int64_t turned = rope_.dim * bytes(type);
      std::memcpy(to + turned, from + turned, (dim - rope_.dim) * bytes(type));
    }
    const auto pairs = static_cast<std::int64_t>(cos_.size());
    const bool halves = rope_.style == RopeStyle::split_half;
    const auto turn = [&](auto element) {
      turn_pairs<decltype(element)>(from, to, cos_.data(), sin_.data(), pairs, halves ? 1 : 2,
                                    halves ? pairs : 1);
    };
    if (type == DType::bf16)
      turn(Bf16{});
    else if (type == DType::f16)
      turn(F16{});
    else
      turn(F32{});
  }

 private:
  const RopeCall& rope_;
  std::vector<float> cos_, sin_;
};

void append_rows(const AppendCall& call, const AppendedRows& rows, Rows part) {
  Rotation rotation(call.rope);
  for (std::int64_t i = part.begin; i < part.end; i++) {
    const Place source{rows.source().batch, rows.source().rows.begin + i};
    rotation.move_to(call.k_position + rows.row(i));
    for (std::int64_t head = 0; head < call.q.heads; head++)
      rotation.turn_row(row_of(call.q, source, head), row_of(call.rotated_q, source, head),
                        call.q.dtype, call.q.dim);
    const auto place = rows.place(i);
    if (!place) continue;
    for (std::int64_t head = 0; head < call.k.heads; head++) {
      rotation.turn_row(row_of(call.new_k, source, head), row_of(call.k, *place, head),
                        call.k.dtype, call.k.dim);
      std::memcpy(row_of(call.v, *place, head), row_of(call.new_v, source, head),
                  call.v.dim * bytes(call.v.dtype));
    }
  }
}

}  // namespace

void cpu_append(int tile_q, const AppendCall& call) try {
  const std::int64_t tiles = ceil_div(call.sizes.q_len, tile_q);
  parallel_for(call.sizes.batch * tiles, call.max_sms, [&](std::int64_t index) {
    const AppendedRows rows(call, index / tiles);
    const std::int64_t first = index % tiles * tile_q;
    append_rows(call, rows, {first, std::min(first + tile_q, rows.count())});
  });
} catch (const std::bad_alloc&) {
  throw Error(ErrorCode::launch_failed,
              "the system has no memory for sines and cosines; part of the rows may be written");
}

}  // namespace streamattn

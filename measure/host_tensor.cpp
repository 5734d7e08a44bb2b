// Layouts, random contents and poison of host tensors.
#include "measure/host_tensor.h"

#include <llvm/Support/FormatVariadic.h>

#include <algorithm>

#include "measure/host_memory.h"
#include "runtime/cpu/threads.h"
#include "support/half.h"

namespace streamattn {
namespace {

std::int64_t round_up(std::int64_t value, std::int64_t step) {
  return (value + step - 1) / step * step;
}

/// In doubles, before anything is multiplied in integers.
void require_memory_for(DType type, const Sizes& sizes, std::int64_t gap) {
  const auto& [batch, seq, heads, dim] = sizes;
  double elements = static_cast<double>(dim) + static_cast<double>(gap);
  for (const std::int64_t size : {batch, seq, heads}) elements *= static_cast<double>(size);
  require_memory(llvm::formatv("a tensor of [{0}, {1}, {2}, {3}] {4} elements", batch, seq, heads,
                               dim, streamattn::name(type)),
                 elements * bytes(type));
}

/// The view of `sizes` in memory that does not exist yet.
Tensor lay_out(DType type, const Sizes& sizes, Layout layout, std::int64_t gap) {
  const auto& [batch, seq, heads, dim] = sizes;
  require_memory_for(type, sizes, gap);
  const std::int64_t row = dim + gap;
  Tensor view{nullptr, type, batch, seq, heads, dim};
  switch (layout) {
    case Layout::bshd:
      view.head_stride = row, view.seq_stride = heads * row, view.batch_stride = seq * heads * row;
      break;
    case Layout::bhsd:
      view.seq_stride = row, view.head_stride = seq * row, view.batch_stride = heads * seq * row;
      break;
    case Layout::sbhd:
      view.head_stride = row, view.batch_stride = heads * row;
      view.seq_stride = batch * heads * row;
      break;
    case Layout::padded: {
      const std::int64_t unit = 16 / bytes(type);
      const std::int64_t pitch = round_up(row, unit) + unit;
      view.seq_stride = pitch, view.head_stride = seq * pitch;
      view.batch_stride = heads * seq * pitch;
      break;
    }
    case Layout::sparse: {
      const std::int64_t pitch = row + 1;
      view.batch_stride = pitch, view.seq_stride = batch * pitch;
      view.head_stride = seq * batch * pitch;
      break;
    }
  }
  return view;
}

/// Elements from the first one to the end of the last row, gap included.
std::int64_t extent(const Tensor& view) {
  const std::int64_t pitch =
      std::max({view.dim, std::min({view.batch_stride, view.seq_stride, view.head_stride})});
  if (view.batch == 0 || view.seq == 0 || view.heads == 0) return 0;
  return (view.batch - 1) * view.batch_stride + (view.seq - 1) * view.seq_stride +
         (view.heads - 1) * view.head_stride + pitch;
}

}  // namespace

const char* name(Layout layout) {
  constexpr const char* names[] = {"bshd", "bhsd", "sbhd", "padded", "sparse"};
  return names[static_cast<int>(layout)];
}

HostTensor::HostTensor(DType type, const Sizes& sizes, Layout layout, std::int64_t gap)
    : type_(type),
      first_element_(layout == Layout::sparse ? 1 : 0),
      view_(lay_out(type, sizes, layout, gap)) {
  storage_.assign((first_element_ + extent(view_)) * streamattn::bytes(type), poison_byte);
  view_ = view_at(storage_.data());
}

Tensor HostTensor::view_at(void* memory) const {
  Tensor view = view_;
  view.data = static_cast<std::byte*>(memory) + first_element_ * streamattn::bytes(type_);
  return view;
}

std::int64_t HostTensor::row_offset(std::int64_t batch, std::int64_t seq, std::int64_t head) const {
  return (first_element_ + batch * view_.batch_stride + seq * view_.seq_stride +
          head * view_.head_stride) *
         streamattn::bytes(type_);
}

void HostTensor::fill(std::uint64_t seed, Distribution distribution) {
  const Tensor& t = view_;
  parallel_for(t.batch * t.seq, 0,
               [&](std::int64_t i) { fill_row(i / t.seq, i % t.seq, i, seed, distribution); });
}

void HostTensor::fill_row(std::int64_t batch, std::int64_t seq, std::int64_t row,
                          std::uint64_t seed, Distribution distribution) {
  const Tensor& t = view_;
  for (std::int64_t head = 0; head < t.heads; ++head) {
    std::byte* to = storage_.data() + row_offset(batch, seq, head);
    for (std::int64_t d = 0; d < t.dim; ++d) {
      const auto index = static_cast<std::uint64_t>((row * t.heads + head) * t.dim + d);
      store_element(to, type_, d, random_element(seed, index, distribution));
    }
  }
}

void HostTensor::poison(Rows rows) {
  for (std::int64_t batch = 0; batch < view_.batch; ++batch) poison({batch, rows}, storage_);
}

void HostTensor::poison(const SequenceRows& rows, std::vector<std::byte>& storage) const {
  for (std::int64_t seq = rows.rows.begin; seq < rows.rows.end; ++seq) {
    for (std::int64_t head = 0; head < view_.heads; ++head) {
      std::fill_n(storage.data() + row_offset(rows.batch, seq, head),
                  view_.dim * streamattn::bytes(type_), poison_byte);
    }
  }
}

bool HostTensor::is_poison_outside(Rows rows) const {
  std::vector<SequenceRows> all;
  for (std::int64_t batch = 0; batch < view_.batch; ++batch) all.push_back({batch, rows});
  return is_poison_but_for(all);
}

bool HostTensor::is_poison_but_for(std::span<const SequenceRows> rows) const {
  std::vector<std::byte> rest = storage_;
  for (const SequenceRows& some : rows) poison(some, rest);
  return std::all_of(rest.begin(), rest.end(), [](std::byte byte) { return byte == poison_byte; });
}

}  // namespace streamattn

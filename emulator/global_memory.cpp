// Addresses, conflicts and contents of global memory.
#include "emulator/global_memory.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "emulator/violation.h"

namespace streamattn::emulator {
namespace {

constexpr std::size_t margin = 64 * 1024, page = 4096, word_bytes = 4, page_words = 1024;
constexpr std::size_t most_slices = 64;  // of workspace; a plan takes a few
constexpr int poison = 0xFF;
constexpr std::uint32_t by_nobody = 0, by_host = 1;

// "warp 3, lane 0 of block 1 at parts/x.cuh:12".
std::string text_with_block(const Access& access) {
  const std::string who = text(access);
  const std::size_t place = who.rfind(" at ");
  return who.substr(0, place) + llvm::formatv(" of block {0}", access.block).str() +
         who.substr(place);
}

// What would have ordered an access after `earlier`.
std::string cure(const Access& earlier, const char* what) {
  if (earlier.kind == AccessKind::tma_store)
    return "tma_store_wait, and a barrier or release behind it, is missing in between";
  return llvm::formatv(
      "no barrier, release and acquire or dependency_wait orders the {0} before "
      "this",
      what);
}

}  // namespace

// ---- Allocations

// Addresses for that many bytes, with a margin on both sides.
std::byte* GlobalMemory::reserve(std::size_t bytes) {
  return addresses_.emplace_back(bytes + 2 * margin, Mapping::Access::none).data() + margin;
}

// Elements that follow each other in the last dimension are a row.
std::byte* GlobalMemory::add_elements(std::string name, void* data, const Elements& elements,
                                      Role role) {
  const auto& [sizes, strides, dtype] = elements;
  const std::int64_t row_elements = strides[3] == 1 ? sizes[3] : 1;
  std::vector<std::int64_t> offsets;
  for (std::int64_t i = 0; i < sizes[0]; i++)
    for (std::int64_t j = 0; j < sizes[1]; j++)
      for (std::int64_t k = 0; k < sizes[2]; k++)
        for (std::int64_t l = 0; l < sizes[3]; l += row_elements)
          offsets.push_back((i * strides[0] + j * strides[1] + k * strides[2] + l * strides[3]) *
                            bytes(dtype));
  std::sort(offsets.begin(), offsets.end());
  offsets.erase(std::unique(offsets.begin(), offsets.end()), offsets.end());
  const std::int64_t lowest = offsets.front();

  const auto row_bytes = static_cast<std::size_t>(row_elements * bytes(dtype));
  const std::size_t size = static_cast<std::size_t>(offsets.back() - lowest) + row_bytes;
  std::byte* memory = static_cast<std::byte*>(data) + lowest;
  // Alignment is that of the tensor.
  const std::size_t in_page = reinterpret_cast<std::uintptr_t>(memory) % page;
  Region& region =
      regions_.emplace_back(Region{std::move(name), role, reserve(size + page) + in_page, size});
  region.row_bytes = row_bytes;
  for (const std::int64_t offset : offsets)
    region.rows.push_back(static_cast<std::size_t>(offset - lowest));
  region.memory = memory;
  if (region.is_output()) {
    region.host = memory;
    region.memory = region.own.emplace(size, Mapping::Access::read_write).data();
    if (region.is_accumulated()) std::memcpy(region.memory, memory, size);
  }
  return region.begin - lowest;
}

Tensor GlobalMemory::add_tensor(const char* name, const Tensor& tensor, Role role) {
  const Tensor& t = tensor;
  if (t.data == nullptr || t.batch == 0 || t.seq == 0 || t.heads == 0 || t.dim == 0) return tensor;
  Tensor addressed = tensor;
  addressed.data = add_elements(
      name, t.data,
      {{t.batch, t.seq, t.heads, t.dim}, {t.batch_stride, t.seq_stride, t.head_stride, 1}, t.dtype},
      role);
  return addressed;
}

const void* GlobalMemory::add_tensor(const TensorArg& tensor) {
  Elements elements{{1, 1, 1, 1}, {0, 0, 0, 1}, tensor.dtype};
  for (int d = 0; d < tensor.rank; d++) {
    if (tensor.sizes[d] == 0) return tensor.data;
    elements.sizes[4 - tensor.rank + d] = tensor.sizes[d];
    elements.strides[4 - tensor.rank + d] = tensor.strides[d];
  }
  return add_elements(std::string(tensor.name), const_cast<void*>(tensor.data), elements,
                      Role::input);
}

float* GlobalMemory::add_gradient(const NamedGradient& gradient, const NamedTensor& tensor,
                                  Role role) {
  Elements elements{{1, 1, 1, 1}, {0, 0, 0, 0}, DType::f32};
  for (int d = 0; d < gradient.rank; d++) {
    if (tensor.sizes[d] == 0) return gradient.data;
    elements.sizes[d] = tensor.sizes[d];
    elements.strides[d] = gradient.strides[d];
  }
  return reinterpret_cast<float*>(
      add_elements("the gradient of a tensor", gradient.data, elements, role));
}

void* GlobalMemory::add_bytes(const char* name, std::size_t bytes, Role role) {
  std::byte* begin = reserve(bytes);
  add_own(name, role, begin, bytes);
  return begin;
}

void GlobalMemory::add_own(const char* name, Role role, std::byte* begin, std::size_t bytes) {
  if (bytes == 0) return;
  Region& region = regions_.emplace_back(Region{name, role, begin, bytes});
  region.memory = region.own.emplace(bytes, Mapping::Access::read_write).data();
  region.rows = {0};
  region.row_bytes = bytes;
  if (role == Role::workspace) std::memset(region.memory, poison, bytes);
}

WorkspaceSlices GlobalMemory::begin_workspace(std::size_t bytes) {
  workspace_ = reserve(bytes + most_slices * margin);
  return WorkspaceSlices(workspace_, margin);
}

void GlobalMemory::end_workspace(const WorkspaceSlices& slices) {
  assert(slices.slices().size() < most_slices);
  for (const auto& slice : slices.slices())
    add_own(slice.name, Role::workspace, workspace_ + slice.offset, slice.bytes);
}

const GlobalMemory::Region* GlobalMemory::region_at(const void* address) const {
  const auto* at = static_cast<const std::byte*>(address);
  for (const Region& region : regions_)
    if (at >= region.begin - margin / 2 && at < region.begin + region.bytes + margin / 2)
      return &region;
  return nullptr;
}

GlobalMemory::Region* GlobalMemory::region_at(const void* address) {
  return const_cast<Region*>(std::as_const(*this).region_at(address));
}

std::string GlobalMemory::describe(const void* address) const {
  const Region* region = region_at(address);
  if (region == nullptr) return llvm::formatv("address {0}, which is in no tensor", address);
  return llvm::formatv("byte {0} of {1}", static_cast<const std::byte*>(address) - region->begin,
                       region->name);
}

// ---- Accesses

GlobalMemory::Region& GlobalMemory::checked_region(const void* address, int bytes,
                                                   const char* verb) {
  Region* region = region_at(address);
  if (region == nullptr) violate("{0} {1}", verb, describe(address));
  const auto offset = static_cast<const std::byte*>(address) - region->begin;
  if (offset < 0 || static_cast<std::size_t>(offset) + bytes > region->bytes)
    violate("{0} {1}, which is {2} it", verb, describe(address),
            offset < 0 ? "in front of" : "behind");
  auto row = std::upper_bound(region->rows.begin(), region->rows.end(), offset) - 1;
  if (static_cast<std::size_t>(offset) + bytes > *row + region->row_bytes)
    violate("{0} {1}, which is between its rows", verb, describe(address));
  return *region;
}

GlobalMemory::Word& GlobalMemory::word(Region& region, std::size_t offset) {
  const std::size_t index = offset / word_bytes;
  std::vector<Word>& words = region.words[index / page_words];
  if (words.empty())
    words.resize(page_words, Word{region.holds_something() ? by_host : by_nobody, {}});
  return words[index % page_words];
}

// Accesses come in runs that are equal.
std::uint32_t GlobalMemory::record(const Access& access) {
  const Access& last = accesses_.back();
  if (last.actor != access.actor || last.event != access.event || last.kind != access.kind ||
      last.site.line != access.site.line || last.site.file != access.site.file)
    accesses_.push_back(access);
  return static_cast<std::uint32_t>(accesses_.size() - 1);
}

void GlobalMemory::check_after_write(const Region& region, std::size_t offset, const Word& found,
                                     const Clock& clock, const Access& access,
                                     const char* verb) const {
  if (found.write == by_nobody || found.write == by_host) return;
  const Access& write = accesses_[found.write];
  const void* address = region.begin + offset;
  if (write.kind == AccessKind::atomic && access.kind == AccessKind::atomic) return;
  if (clock.seen.of(write.actor) < write.event)
    violate("{0} {1}, which {2} writes: {3}", verb, describe(address), text_with_block(write),
            cure(write, "write"));
  if (is_async(access.kind) && !is_async(write.kind) &&
      clock.fenced_global.of(write.actor) < write.event)
    violate("{0} {1}, which {2} wrote: fence_global_to_async is missing in between", verb,
            describe(address), text_with_block(write));
}

const std::byte* GlobalMemory::read(const void* address, int bytes, const Clock& clock,
                                    const Access& access) {
  Region& region = checked_region(address, bytes, "reads");
  const auto begin =
      static_cast<std::size_t>(static_cast<const std::byte*>(address) - region.begin);
  if (region.role == Role::input) return region.memory + begin;
  const std::uint32_t id = record(access);
  for (std::size_t offset = begin; offset < begin + bytes; offset += word_bytes) {
    Word& found = word(region, offset);
    if (found.write == by_nobody)
      violate("reads {0}, which nothing has written", describe(region.begin + offset));
    check_after_write(region, offset, found, clock, access, "reads");
    auto same_actor = [&](std::uint32_t r) { return accesses_[r].actor == access.actor; };
    auto mine = std::find_if(found.reads.begin(), found.reads.end(), same_actor);
    mine == found.reads.end() ? found.reads.push_back(id) : void(*mine = id);
  }
  return region.memory + begin;
}

std::byte* GlobalMemory::write(const void* address, int bytes, const Clock& clock,
                               const Access& access) {
  Region& region = checked_region(address, bytes, "stores to");
  const auto begin =
      static_cast<std::size_t>(static_cast<const std::byte*>(address) - region.begin);
  if (region.role == Role::input) violate("stores to {0}, which is an input", describe(address));
  const std::uint32_t id = record(access);
  for (std::size_t offset = begin; offset < begin + bytes; offset += word_bytes) {
    Word& found = word(region, offset);
    const void* here = region.begin + offset;
    if (region.is_output() && !access.is_second && found.write != by_nobody &&
        found.write != by_host)
      violate("stores to {0} once more, after {1}", describe(here),
              text_with_block(accesses_[found.write]));
    check_after_write(region, offset, found, clock, access, "overwrites");
    for (const std::uint32_t r : found.reads) {
      const Access& read = accesses_[r];
      if (read.actor == access.actor && read.event == access.event) continue;  // it adds
      if (clock.seen.of(read.actor) < read.event &&
          !(read.kind == AccessKind::atomic && access.kind == AccessKind::atomic))
        violate("overwrites {0}, which {1} reads: {2}", describe(here), text_with_block(read),
                cure(read, "read"));
    }
    found.write = id;
    found.reads.clear();
  }
  return region.memory + begin;
}

// ---- Between and after kernels

void GlobalMemory::clear(const void* address, std::size_t bytes) {
  Region& region = *region_at(address);
  const auto begin =
      static_cast<std::size_t>(static_cast<const std::byte*>(address) - region.begin);
  std::memset(region.memory + begin, 0, bytes);
  for (std::size_t offset = begin; offset < begin + bytes; offset += word_bytes)
    word(region, offset) = {by_host, {}};
}

bool GlobalMemory::is_written(const Region& region, std::size_t offset) {
  const auto words = region.words.find(offset / word_bytes / page_words);
  return words != region.words.end() &&
         words->second[offset / word_bytes % page_words].write > by_host;
}

std::string GlobalMemory::unfinished() const {
  for (const Region& region : regions_) {
    for (std::size_t row : region.rows) {
      for (std::size_t i = 0; i < region.row_bytes; i += word_bytes) {
        if (region.is_whole() && !is_written(region, row + i))
          return llvm::formatv("leaves {0} without a store", describe(region.begin + row + i));
        unsigned word = 0;
        if (region.role == Role::counter) std::memcpy(&word, region.memory + row + i, word_bytes);
        if (word != 0)
          return llvm::formatv("leaves {0} at {1}; the next launch needs 0", region.name, word);
      }
    }
  }
  return "";
}

void GlobalMemory::copy_back() const {
  for (const Region& region : regions_) {
    if (!region.is_output()) continue;
    for (std::size_t row : region.rows)
      for (std::size_t i = row; i < row + region.row_bytes; i += word_bytes)
        if (is_written(region, i))
          std::memcpy(static_cast<std::byte*>(region.host) + i, region.memory + i,
                      std::min(word_bytes, row + region.row_bytes - i));
  }
}

}  // namespace streamattn::emulator

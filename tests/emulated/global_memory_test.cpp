// Bounds, roles and contents of global memory.
#include "emulator/global_memory.h"

#include <cstring>

#include "tests/emulated/small_program.h"
#include "tests/support/catch.h"

using namespace streamattn;
using namespace streamattn::emulator;

namespace {

constexpr Site here = Site::here("kernel.cuh", 1), there = Site::here("kernel.cuh", 2);

/// Four rows of 6 floats, 10 apart.
struct Rows4 {
  std::vector<float> memory = std::vector<float>(40, 1.F);
  Tensor tensor{memory.data(), DType::f32, 1, 4, 1, 6, 40, 10, 10};
};

/// What thread 0 is told that stores a float at this offset of an output.
std::string stored_at(std::int64_t offset, int times = 1) {
  Rows4 rows;
  SmallProgram p;
  const Tensor o = p.memory.add_tensor("o", rows.tensor, Role::output);
  p.add([&](Machine& m, int thread) {
    const float value = 2;
    for (int i = 0; i < times && thread == 0; i++)
      m.store_global(static_cast<float*>(o.data) + offset, &value, 4, here);
  });
  return p.report();
}

}  // namespace

TEST_CASE("stores around a tensor and between its rows are named") {
  CHECK(stored_at(0) == "nothing");
  CHECK(stored_at(35) == "nothing");
  CHECK_THAT(stored_at(-1), contains_text("stores to byte -4 of o, which is in front of it"));
  CHECK_THAT(stored_at(6), contains_text("stores to byte 24 of o, which is between its rows"));
  CHECK_THAT(stored_at(36), contains_text("stores to byte 144 of o, which is behind it"));
  CHECK_THAT(stored_at(1LL << 40), contains_text("which is in no tensor"));
}

TEST_CASE("an element of an output is stored once") {
  CHECK_THAT(stored_at(11, 2),
             contains_text("stores to byte 44 of o once more, after warp 0, lane 0 "
                           "of block 0 at kernel.cuh:1"));
}

TEST_CASE(
    "elements of an output that are not stored are named, and only what is stored is copied back") {
  Rows4 rows;
  SmallProgram p;
  const Tensor o = p.memory.add_tensor("o", rows.tensor, Role::output);
  p.add([&](Machine& m, int thread) {
    const float value = 2;
    if (thread < 23)
      m.store_global(static_cast<float*>(o.data) + thread / 6 * 10 + thread % 6, &value, 4, here);
  });
  CHECK(p.report() == "nothing");
  CHECK(p.memory.unfinished() == "leaves byte 140 of o without a store");
  p.memory.copy_back();
  for (int i = 0; i < 40; i++) CHECK(rows.memory[i] == (i % 10 < 6 && i != 35 ? 2.F : 1.F));
}

TEST_CASE("an output of which the device knows the rows may keep some, and stores others once") {
  Rows4 rows;
  SmallProgram p;
  const Tensor o = p.memory.add_tensor("o", rows.tensor, Role::some_rows);
  p.add([&](Machine& m, int thread) {
    const float value = 2;
    if (thread < 6) m.store_global(static_cast<float*>(o.data) + thread, &value, 4, here);
  });
  CHECK(p.report() == "nothing");
  CHECK(p.memory.unfinished() == "");
  p.memory.copy_back();
  for (int i = 0; i < 40; i++) CHECK(rows.memory[i] == (i < 6 ? 2.F : 1.F));
}

TEST_CASE("inputs are read, not written, and reads have bounds") {
  Rows4 rows;
  auto report = [&](bool store, int offset) {
    SmallProgram p;
    const Tensor k = p.memory.add_tensor("k", rows.tensor, Role::input);
    p.add([&](Machine& m, int thread) {
      float value = 2;
      auto* at = static_cast<float*>(k.data) + offset;
      if (thread == 0)
        store ? m.store_global(at, &value, 4, here) : m.load_global(at, &value, 4, here);
    });
    return p.report();
  };
  CHECK(report(false, 0) == "nothing");
  CHECK_THAT(report(false, 36), contains_text("reads byte 144 of k, which is behind it"));
  CHECK_THAT(report(true, 0), contains_text("stores to byte 0 of k, which is an input"));
}

TEST_CASE("accesses are aligned to their size") {
  SmallProgram p;
  auto* words = static_cast<char*>(p.memory.add_bytes("words", 64, Role::workspace));
  p.add([&](Machine& m, int thread) {
    const int value[4] = {};
    if (thread == 0) m.store_global(words + 8, value, 16, here);
  });
  CHECK_THAT(p.report(), contains_text("stores 16 bytes to byte 8 of words, which is not aligned"));
}

TEST_CASE("a counter that is not left at zero is named") {
  SmallProgram p;
  auto* counter = static_cast<unsigned*>(p.memory.add_bytes("the counter", 4, Role::counter));
  p.add([&](Machine& m, int thread) {
    if (thread == 0) m.atomic_inc(counter, 9, here);
  });
  CHECK(p.report() == "nothing");
  CHECK(p.memory.unfinished() == "leaves the counter at 1; the next launch needs 0");
}

TEST_CASE("boxes of TMA stay in the tensor that their map was made of") {
  std::uint16_t row[64] = {};
  SmallProgram p;
  const Tensor placed =
      p.memory.add_tensor("v", Tensor::bshd(row, DType::bf16, 1, 1, 1, 64), Role::input);
  // A map of one row too many.
  const TensorMap map =
      encode("v", {placed.data, {64, 2, 1, 1}, {128, 128, 128}, DType::bf16, 8, 64});
  p.add([&](Machine& m, int thread) {
    constexpr unsigned base = SharedMemory::first_address;
    if (thread != 0) return;
    m.mbarrier_init(base, 1, here);
    m.fence_mbarrier_init(here);
    m.mbarrier_arrive(base, 1024, here);
    m.tma_load(base + 1024, map, base, {0, 0, 0, 0}, there);
  });
  CHECK_THAT(p.report(), contains_text("kernel.cuh:2: reads byte 128 of v, which is behind it"));
}

TEST_CASE("tensors may reach over more memory than there is") {
  std::vector<float> element(4, 1.F);
  const Tensor far{element.data(), DType::f32, 1, 1, 1, 4, 0, 0, 0};
  Tensor sparse = far;
  sparse.seq = 2, sparse.seq_stride = 1LL << 34;  // elements: the second row is 64 GiB away
  SmallProgram p;
  const Tensor o = p.memory.add_tensor("o", sparse, Role::output);
  p.add([&](Machine& m, int thread) {
    const float value[4] = {1, 2, 3, 4};
    if (thread < 2)
      m.store_global(static_cast<float*>(o.data) + thread * sparse.seq_stride, value, 16, here);
  });
  CHECK(p.report() == "nothing");
  CHECK(p.memory.unfinished() == "");
}

TEST_CASE("every slice of workspace has guards") {
  SmallProgram p;
  auto slices = p.memory.begin_workspace(4096);
  auto* partial = slices.take<unsigned>("partial", 16);
  auto* flags = slices.take<unsigned>("flags", 4);
  p.memory.end_workspace(slices);
  const unsigned* end = nullptr;
  p.add([&](Machine& m, int thread) {
    const unsigned value = 3;
    if (thread != 0) return;
    m.store_global(partial + 15, &value, 4, here);
    m.store_global(flags, &value, 4, here);
    m.store_global(const_cast<unsigned*>(end), &value, 4, there);
  });
  end = partial + 16;
  CHECK_THAT(p.report(), contains_text("stores to byte 64 of partial, which is behind it"));
  end = flags - 1;
  CHECK_THAT(p.report(2), contains_text("stores to byte -4 of flags, which is in front of it"));
}

// What a launch of backward_wgmma kernels does where sequences are packed.
#include <cstring>
#include <map>
#include <string>

#include "compiler/families/backward_wgmma/backward_wgmma.h"
#include "streamattn/error.h"
#include "tests/support/catch.h"

namespace streamattn {
namespace {

const Target& hopper() { return find_target("sm_90a"); }

Tensor at(int part, std::int64_t tokens, std::int64_t heads, DType type = DType::bf16) {
  return Tensor::bshd(reinterpret_cast<void*>(std::intptr_t{part} << 28), type, 1, tokens, heads,
                      64);
}

/// Three sequences of at most 500 queries and 700 keys, at addresses that nobody reads.
struct Fixture {
  Problem problem{.dtype = DType::bf16,
                  .head_dim = 64,
                  .group_size = 2,
                  .q_layout = SequenceLayout::packed,
                  .kv_layout = SequenceLayout::packed};
  Schedule schedule = choose(Operation::backward, problem, {3, 2, 500, 700}, hopper()).schedule;
  std::int32_t q_begins = 0, kv_begins = 0;
  BackwardCall call = {.forward = {.q = at(1, 1000, 4),
                                   .k = at(2, 1500, 2),
                                   .v = at(3, 1500, 2),
                                   .o = at(4, 1000, 4),
                                   .lse = at(5, 1000, 4, DType::f32),
                                   .q_position = 0,
                                   .k_position = 0,
                                   .scale = 0.125F,
                                   .sequences = Sequences{.batch = 3,
                                                          .cu_seqlens_q = &q_begins,
                                                          .cu_seqlens_kv = &kv_begins,
                                                          .max_q_len = 500,
                                                          .max_kv_len = 700}},
                       .d_o = at(6, 1000, 4),
                       .d_q = at(7, 1000, 4),
                       .d_k = at(8, 1500, 2),
                       .d_v = at(9, 1500, 2),
                       .accumulate = false,
                       .gradients = {}};
  std::map<std::string, BoxedTensor> maps;

  Plan planned() {
    const auto encode = [&](const char* name, const BoxedTensor& tensor) {
      maps.insert_or_assign(name, tensor);
      return TensorMap{};
    };
    const auto no_words = [](int) -> unsigned* { return nullptr; };
    WorkspaceSlices slices;
    return plan(problem, schedule, call, {132, hopper().l2_bytes, encode, no_words}, slices);
  }
};

template <class Parameters>
Parameters parameters_of(const Plan& steps, std::size_t i) {
  Parameters found;
  std::memcpy(&found, std::get<KernelLaunch>(steps[i]).parameters(), sizeof(found));
  return found;
}

}  // namespace

TEST_CASE_METHOD(Fixture, "tiles of packed sequences have places as of one sequence of all rows") {
  const Plan steps = planned();
  REQUIRE(steps.size() == 3);  // a sequence may have no keys: dQ may have to be cleared
  const auto main = parameters_of<BackwardParams>(steps, 1);
  CHECK(main.order.key_tiles == 1500 / 128 + 3);
  CHECK(main.order.items == 2 * main.order.key_tiles);  // of key-value heads; none is cut
  CHECK(main.order.cut == 0);
  CHECK(main.statistics.padded_len == (1000 / 128 + 3) * 128);
  CHECK(main.d_q_sums.tiles == 2 * (1000 / 128 + 3));
  CHECK(main.key_tiles.room == main.order.key_tiles);
  CHECK(main.batch.batch == 3);
  CHECK(main.batch.q_begins == &q_begins);
  CHECK(main.batch.kv_begins == &kv_begins);
  CHECK(main.batch.q_len == 500);
  CHECK(parameters_of<RowSumParams>(steps, 0).all_heads == 4);
  CHECK(parameters_of<ClearParams>(steps, 2).count == 4 * main.d_q_sums.tiles);
  call.forward.sequences->max_kv_len = 260;  // no sequence has more than three tiles
  CHECK(parameters_of<BackwardParams>(planned(), 1).order.key_tiles == 3 * 3);
  call.forward.max_sms = 7;
  CHECK(std::get<KernelLaunch>(planned()[1]).blocks == 7);
}

TEST_CASE_METHOD(Fixture, "maps of packed sequences end with each of them") {
  planned();
  for (const auto& [name, longest, rows] :
       {std::tuple("tensor map of q", 500, 1000), std::tuple("tensor map of d_v", 700, 1500)}) {
    CAPTURE(name);
    const BoxedTensor& map = maps.at(name);
    const Tensor& tensor = name == std::string("tensor map of q") ? call.forward.q : call.d_v;
    CHECK(map.dims[1] == static_cast<std::uint64_t>(longest));
    CHECK(map.dims[2] == static_cast<std::uint64_t>(tensor.heads));
    CHECK(map.dims[3] == static_cast<std::uint64_t>(rows) + 1);
    for (const auto& [first, length] : {std::pair(0, 1), std::pair(37, 200), std::pair(400, 500)}) {
      // Row `length` - 1 is the last one inside, and where it should be.
      const std::uint64_t row = longest - 1, entry = first + length;
      const std::uint64_t address = reinterpret_cast<std::uint64_t>(map.data) +
                                    row * map.byte_strides[0] + entry * map.byte_strides[2];
      CHECK(address == reinterpret_cast<std::uint64_t>(tensor.data) +
                           (first + length - 1) * tensor.seq_stride * 2);
    }
  }
}

TEST_CASE_METHOD(Fixture, "packed sequences without keys, without queries, or none at all") {
  SECTION("no sequences") {
    call.forward.sequences->batch = 0;
    CHECK(planned().empty());
  }
  SECTION("no keys: dQ is cleared") {
    for (Tensor* tensor : {&call.forward.k, &call.forward.v, &call.d_k, &call.d_v}) tensor->seq = 0;
    call.forward.sequences->max_kv_len = 0;
    const Plan steps = planned();
    REQUIRE(steps.size() == 2);
    CHECK(std::get<KernelLaunch>(steps[1]).kernel == 2);
  }
  SECTION("no queries: dK and dV are zero") {
    for (Tensor* tensor :
         {&call.forward.q, &call.forward.o, &call.forward.lse, &call.d_o, &call.d_q})
      tensor->seq = 0;
    call.forward.sequences->max_q_len = 0;
    const Plan steps = planned();
    REQUIRE(steps.size() == 2);  // row_sums lists tiles of keys
    CHECK(std::get<KernelLaunch>(steps[1]).kernel == 1);
  }
}

}  // namespace streamattn

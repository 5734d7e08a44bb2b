// Defaults and sub-ranges of a launch.
#include "compiler/operations/forward/call.h"

#include <vector>

#include "tests/support/catch.h"

namespace streamattn {
namespace {

struct Fixture {
  std::vector<float> memory = std::vector<float>(4096);
  Problem problem{.dtype = DType::bf16,
                  .out_dtype = DType::f32,
                  .head_dim = 16,
                  .value_head_dim = 8,
                  .group_size = 2};
  ForwardArgs args{.q = Tensor::bshd(memory.data(), DType::bf16, 2, 10, 4, 16),
                   .k = Tensor::bhsd(memory.data(), DType::bf16, 2, 2, 30, 16),
                   .v = Tensor::bhsd(memory.data(), DType::bf16, 2, 2, 30, 8),
                   .o = Tensor::bshd(memory.data(), DType::f32, 2, 10, 4, 8),
                   .lse = Tensor::bhsd(memory.data(), DType::f32, 2, 4, 10, 1)};
};

std::ptrdiff_t bytes_from(const Fixture& fixture, const Tensor& tensor) {
  return static_cast<const char*>(tensor.data) -
         reinterpret_cast<const char*>(fixture.memory.data());
}

}  // namespace

TEST_CASE_METHOD(Fixture, "a call without options is the whole of its tensors, bottom right") {
  const ForwardCall call = resolve(problem, args);
  CHECK(call.batch() == 2);
  CHECK(call.heads() == 4);
  CHECK(call.kv_heads() == 2);
  CHECK(call.q_len() == 10);
  CHECK(call.kv_len() == 30);
  CHECK(call.q_position == 20);
  CHECK(call.k_position == 0);
  CHECK(call.scale == 0.25F);
  CHECK(call.max_sms == 0);
  CHECK(call.lse.data == memory.data());
}

TEST_CASE_METHOD(Fixture, "offsets and options of a call replace the defaults") {
  args.k_offset = 100;
  CHECK(resolve(problem, args).q_position == 120);
  args.q_offset = -5;
  args.scale = 3.0F;
  args.max_sms = 7;
  const ForwardCall call = resolve(problem, args);
  CHECK(call.q_position == -5);
  CHECK(call.k_position == 100);
  CHECK(call.scale == 3.0F);
  CHECK(call.max_sms == 7);
}

TEST_CASE_METHOD(Fixture,
                 "sub-ranges move data, lengths and positions, in the type of each tensor") {
  args.q_rows = Rows{3, 5};
  args.kv_rows = Rows{4, 11};
  const ForwardCall call = resolve(problem, args);
  CHECK(call.q_len() == 2);
  CHECK(call.o.seq == 2);
  CHECK(call.lse.seq == 2);
  CHECK(call.kv_len() == 7);
  CHECK(call.v.seq == 7);
  CHECK(call.q_position == 23);  // offsets count from row 0 of the whole
  CHECK(call.k_position == 4);
  CHECK(bytes_from(*this, call.q) == 3 * 4 * 16 * 2);
  CHECK(bytes_from(*this, call.k) == 4 * 16 * 2);
  CHECK(bytes_from(*this, call.v) == 4 * 8 * 2);
  CHECK(bytes_from(*this, call.o) == 3 * 4 * 8 * 4);
  CHECK(bytes_from(*this, call.lse) == 3 * 4);
}

TEST_CASE_METHOD(Fixture, "a tensor without memory stays without in a sub-range") {
  args.lse = {};
  args.q_rows = Rows{3, 5};
  CHECK(resolve(problem, args).lse.data == nullptr);
}

}  // namespace streamattn

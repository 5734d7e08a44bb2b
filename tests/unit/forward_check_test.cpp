// Every complaint about the arguments of a launch.
#include "compiler/operations/forward/check.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "streamattn/error.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

namespace streamattn {
namespace {

/// Valid arguments, for a test to break.
struct Fixture {
  std::vector<float> memory = std::vector<float>(1 << 14);
  Problem problem{.dtype = DType::bf16, .head_dim = 16, .value_head_dim = 8, .group_size = 2};
  ForwardArgs args{.q = at(0, DType::bf16, 10, 4, 16),
                   .k = at(1, DType::bf16, 30, 2, 16),
                   .v = at(2, DType::bf16, 30, 2, 8),
                   .o = at(3, DType::bf16, 10, 4, 8),
                   .lse = at(4, DType::f32, 10, 4, 1)};

  /// A dense tensor in a part of the memory of its own.
  Tensor at(int part, DType type, std::int64_t seq, std::int64_t heads, std::int64_t dim) {
    return Tensor::bshd(memory.data() + 2048 * part, type, 2, seq, heads, dim);
  }

  /// The complaint about `args`; empty if there is none.
  std::string complaint() const {
    return refusal_of([&] { check_forward(problem, args); });
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "arguments that fit are accepted") {
  CHECK(complaint().empty());
  args.lse = {};
  args.q_rows = Rows{10, 10};
  args.kv_rows = Rows{0, 30};
  CHECK(complaint().empty());
}

TEST_CASE_METHOD(Fixture, "every tensor must have its type") {
  args.k.dtype = DType::f16;
  CHECK(complaint() == "k: dtype is f16, needs bf16 (dtype of the problem)");
  args.k.dtype = DType::bf16;
  args.o.dtype = DType::f32;
  CHECK(complaint() == "o: dtype is f32, needs bf16 (out_dtype of the problem)");
  problem.out_dtype = DType::f32;
  CHECK(complaint().empty());
  args.lse.dtype = DType::bf16;
  CHECK(complaint() == "lse: dtype is bf16, needs f32 (natural logarithms)");
}

TEST_CASE_METHOD(Fixture, "sizes that follow from others are checked for every tensor") {
  SECTION("q: dim") {
    args.q.dim = 8;
    CHECK(complaint() == "q: dim is 8, needs 16 (head_dim)");
  }
  SECTION("k: batch") {
    args.k.batch = 3;
    CHECK(complaint() == "k: batch is 3, needs 2 (batch of q)");
  }
  SECTION("k: heads") {
    args.k.heads = 4;
    CHECK(complaint() == "k: heads is 4, needs 2 (heads of q / group_size)");
  }
  SECTION("k: dim") {
    args.k.dim = 24;
    CHECK(complaint() == "k: dim is 24, needs 16 (head_dim)");
  }
  SECTION("v: batch") {
    args.v.batch = 1;
    CHECK(complaint() == "v: batch is 1, needs 2 (batch of q)");
  }
  SECTION("v: seq") {
    args.v.seq = 29;
    CHECK(complaint() == "v: seq is 29, needs 30 (seq of k)");
  }
  SECTION("v: heads") {
    args.v.heads = 1;
    CHECK(complaint() == "v: heads is 1, needs 2 (heads of q / group_size)");
  }
  SECTION("v: dim") {
    args.v.dim = 16;
    CHECK(complaint() == "v: dim is 16, needs 8 (value_head_dim)");
  }
  SECTION("o: batch") {
    args.o.batch = 0;
    CHECK(complaint() == "o: batch is 0, needs 2 (batch of q)");
  }
  SECTION("o: seq") {
    args.o.seq = 11;
    CHECK(complaint() == "o: seq is 11, needs 10 (seq of q)");
  }
  SECTION("o: heads") {
    args.o.heads = 2;
    CHECK(complaint() == "o: heads is 2, needs 4 (heads of q)");
  }
  SECTION("o: dim") {
    args.o.dim = 16;
    CHECK(complaint() == "o: dim is 16, needs 8 (value_head_dim)");
  }
  SECTION("lse: every size") {
    args.lse.batch = 1;
    CHECK(complaint() == "lse: batch is 1, needs 2 (batch of q)");
    args.lse = at(4, DType::f32, 9, 4, 1);
    CHECK(complaint() == "lse: seq is 9, needs 10 (seq of q)");
    args.lse = at(4, DType::f32, 10, 2, 1);
    CHECK(complaint() == "lse: heads is 2, needs 4 (heads of q)");
    args.lse = at(4, DType::f32, 10, 4, 8);
    CHECK(complaint() == "lse: dim is 8, needs 1 (one value a row)");
  }
}

TEST_CASE_METHOD(Fixture, "free sizes must be sane") {
  SECTION("negative") {
    args.q.seq = -1;
    CHECK(complaint() == "q: seq is -1, must not be negative");
    args.q.seq = 10;
    args.k.seq = -30;
    CHECK(complaint() == "k: seq is -30, must not be negative");
  }
  SECTION("negative where another size decides") {
    args.v.seq = -30;
    CHECK(complaint() == "v: seq is -30, must not be negative");
  }
  SECTION("heads that do not fill the groups") {
    args.q.heads = 5;
    CHECK(complaint() == "q: heads is 5, needs a multiple of 2 (group_size)");
  }
  SECTION("more rows than can be counted") {
    args.q.batch = args.k.batch = args.v.batch = args.o.batch = args.lse.batch = 1LL << 31;
    args.q.heads = args.o.heads = args.lse.heads = 1LL << 31;
    CHECK_THAT(complaint(), contains_text("rows are too many, must be less than"));
  }
}

TEST_CASE_METHOD(Fixture, "memory must be there, aligned for its use") {
  SECTION("null") {
    args.v.data = nullptr;
    CHECK(complaint() == "v: data is null, needs [2, 30, 2, 8] elements");
  }
  SECTION("null lse with sizes") {
    args.lse.data = nullptr;
    CHECK(complaint() == "lse: data is null, needs [2, 10, 4, 1] elements");
  }
  SECTION("to elements") {
    args.k.data = reinterpret_cast<void*>(0x10001);
    CHECK(complaint() == "k: data is at 0x10001, needs a multiple of 2");
    args.k.data = reinterpret_cast<void*>(0x10002);
    args.lse.data = reinterpret_cast<void*>(0x20002);
    CHECK(complaint() == "lse: data is at 0x20002, needs a multiple of 4");
  }
}

TEST_CASE_METHOD(Fixture, "strides may be any that 64 bits can hold") {
  args.lse.head_stride = 5;
  args.lse.seq_stride = 20;
  args.lse.batch_stride = 200;
  CHECK(complaint().empty());
  args.q.batch_stride = std::int64_t{1} << 62;
  CHECK(complaint() == "q: its strides span more than 2^62 bytes");
}

TEST_CASE_METHOD(Fixture, "an output has a place of its own for every element") {
  SECTION("repeated keys are fine, repeated outputs are not") {
    args.k.batch_stride = args.k.head_stride = 0;
    CHECK(complaint().empty());
    args.o.seq_stride = 0;
    CHECK(complaint() ==
          "o: strides [320, 0, 8] put several elements at one place, an output needs a place for "
          "each");
  }
  SECTION("o over an input") {
    args.o.data = args.v.data;
    CHECK(complaint() == "o: overlaps v, an output needs memory of its own");
    args.o.data = static_cast<char*>(args.q.data) + 2;
    CHECK(complaint() == "o: overlaps q, an output needs memory of its own");
  }
  SECTION("lse over o") {
    args.lse.data = args.o.data;
    CHECK(complaint() == "o: overlaps lse, an output needs memory of its own");
  }
}

TEST_CASE_METHOD(Fixture, "a workspace shares no memory with a tensor") {
  for (const auto& [name, tensor] :
       {std::pair("q", &args.q), std::pair("k", &args.k), std::pair("v", &args.v),
        std::pair("o", &args.o), std::pair("lse", &args.lse)}) {
    char* const data = static_cast<char*>(tensor->data);
    args.workspace = {data, 1};
    CHECK(complaint() ==
          std::string("workspace: overlaps ") + name + ", it needs memory of its own");
    args.workspace = {data, 0};
    CHECK(complaint().empty());
  }
  char* const first = static_cast<char*>(
      std::min({args.q.data, args.k.data, args.v.data, args.o.data, args.lse.data}));
  args.workspace = {first - 1024, 1024};
  CHECK(complaint().empty());
  args.workspace.bytes = 1025;
  CHECK(complaint().find("workspace: overlaps ") == 0);
  args.workspace.bytes = SIZE_MAX;
  CHECK(complaint().find("workspace: overlaps ") == 0);
}

TEST_CASE_METHOD(Fixture, "strides of single rows and tensors without elements may be anything") {
  for (Tensor* tensor : {&args.q, &args.k, &args.v, &args.o, &args.lse}) {
    tensor->batch = 1;
    tensor->batch_stride = -3;
  }
  CHECK(complaint().empty());
  for (Tensor* tensor : {&args.q, &args.k, &args.v, &args.o}) {
    tensor->batch = 0;
    tensor->data = nullptr;
    tensor->seq_stride = -3;
  }
  args.lse.batch = 0;
  CHECK(complaint().empty());
}

TEST_CASE_METHOD(Fixture, "scalars of a call must be in range") {
  SECTION("q_rows") {
    args.q_rows = Rows{2, 11};
    CHECK(complaint() == "q_rows: [2, 11) is not a range within the 10 rows of q");
    args.q_rows = Rows{5, 4};
    CHECK(complaint() == "q_rows: [5, 4) is not a range within the 10 rows of q");
  }
  SECTION("kv_rows") {
    args.kv_rows = Rows{-1, 4};
    CHECK(complaint() == "kv_rows: [-1, 4) is not a range within the 30 rows of k");
  }
  SECTION("scale") {
    args.scale = 0.0F;
    CHECK(complaint() == "scale: is 0.00, must be finite and positive");
    args.scale = std::numeric_limits<float>::infinity();
    CHECK(complaint() == "scale: is INF, must be finite and positive");
    args.scale = std::numeric_limits<float>::quiet_NaN();
    CHECK(complaint() == "scale: is nan, must be finite and positive");
  }
  SECTION("max_sms") {
    args.max_sms = -1;
    CHECK(complaint() == "max_sms: is -1, must not be negative");
  }
  SECTION("positions") {
    args.k_offset = std::numeric_limits<std::int64_t>::max() - 5;
    CHECK(complaint() ==
          "k_offset: is 9223372036854775802 with 30 rows, positions must lie within "
          "+-4611686018427387903");
  }
}

}  // namespace streamattn

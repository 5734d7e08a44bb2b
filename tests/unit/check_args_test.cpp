// Every complaint about the arguments of a launch.
#include "compiler/operations/forward_check.h"

#include <limits>
#include <string>
#include <vector>

#include "streamattn/error.h"
#include "tests/support/catch.h"

namespace streamattn {
namespace {

constexpr std::int64_t huge = std::int64_t{1} << 40;

/// Valid arguments, for a test to break.
struct Fixture {
  std::vector<float> memory = std::vector<float>(4096);
  Problem problem{.dtype = DType::bf16, .head_dim = 16, .value_head_dim = 8, .group_size = 2};
  ForwardArgs args{.q = Tensor::bshd(memory.data(), 2, 10, 4, 16),
                   .k = Tensor::bshd(memory.data(), 2, 30, 2, 16),
                   .v = Tensor::bshd(memory.data(), 2, 30, 2, 8),
                   .o = Tensor::bshd(memory.data(), 2, 10, 4, 8),
                   .lse = Tensor::bshd(memory.data(), 2, 10, 4, 1)};

  /// The complaint about `args` on the CPU or on a device; empty if there is none.
  std::string complaint(bool device = false) const {
    try {
      check_args(problem, args, device);
      return "";
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::invalid_argument);
      return error.what();
    }
  }

  std::string complaint_of_device() const {
    CHECK(complaint().empty());
    return complaint(true);
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "arguments that fit are accepted everywhere") {
  CHECK(complaint().empty());
  CHECK(complaint(true).empty());
  args.lse = {};
  args.q_rows = Rows{10, 10};
  args.kv_rows = Rows{0, 30};
  CHECK(complaint(true).empty());
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
    args.lse = Tensor::bshd(memory.data(), 2, 9, 4, 1);
    CHECK(complaint() == "lse: seq is 9, needs 10 (seq of q)");
    args.lse = Tensor::bshd(memory.data(), 2, 10, 2, 1);
    CHECK(complaint() == "lse: heads is 2, needs 4 (heads of q)");
    args.lse = Tensor::bshd(memory.data(), 2, 10, 4, 8);
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
  SECTION("too long") {
    args.k.seq = args.v.seq = huge;
    CHECK(complaint_of_device() == "k: seq is 1099511627776, must be less than 536870912");
  }
  SECTION("too many heads") {
    for (Tensor* tensor : {&args.q, &args.k, &args.v, &args.o, &args.lse}) {
      tensor->batch = 1 << 28;
    }
    CHECK(complaint_of_device() ==
          "q: batch is 268435456 with 4 heads, a device needs a product below 536870912");
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
  SECTION("to elements on the CPU") {
    args.k.data = reinterpret_cast<void*>(0x10001);
    CHECK(complaint() == "k: data is at 0x10001, needs a multiple of 2");
    args.k.data = reinterpret_cast<void*>(0x10002);
    CHECK(complaint_of_device() == "k: data is at 0x10002, needs a multiple of 16");
  }
  SECTION("lse to elements everywhere") {
    args.lse.data = reinterpret_cast<void*>(0x10004);
    CHECK(complaint(true).empty());
    args.lse.data = reinterpret_cast<void*>(0x10002);
    CHECK(complaint(true) == "lse: data is at 0x10002, needs a multiple of 4");
  }
}

TEST_CASE_METHOD(Fixture, "strides must suit the hardware and outputs must not overlap") {
  SECTION("a multiple of 16 bytes") {
    args.q.seq_stride = 68;
    CHECK(complaint_of_device() == "q: seq_stride is 136 bytes, a device needs a multiple of 16");
  }
  SECTION("not negative") {
    args.o.head_stride = -8;
    CHECK(complaint_of_device() ==
          "o: head_stride is -8 elements, a device needs 0 to 549755813887");
  }
  SECTION("not too far") {
    args.v.batch_stride = huge;
    CHECK(complaint_of_device() ==
          "v: batch_stride is 1099511627776 elements, a device needs 0 to 549755813887");
  }
  SECTION("lse with any stride of elements") {
    args.lse.head_stride = 5;
    CHECK(complaint(true).empty());
    args.lse.seq_stride = -4;
    CHECK(complaint_of_device() ==
          "lse: seq_stride is -4 elements, a device needs 0 to 274877906943");
  }
  SECTION("repeated keys are fine, repeated outputs are not") {
    args.k.batch_stride = args.k.head_stride = 0;
    CHECK(complaint(true).empty());
    args.o.seq_stride = 0;
    CHECK(complaint() == "o: seq_stride is 0 and the size is 10, outputs must not overlap");
  }
}

TEST_CASE_METHOD(Fixture, "strides of single rows and tensors without elements may be anything") {
  for (Tensor* tensor : {&args.q, &args.k, &args.v, &args.o, &args.lse}) {
    tensor->batch = 1;
    tensor->batch_stride = -3;
  }
  CHECK(complaint(true).empty());
  for (Tensor* tensor : {&args.q, &args.k, &args.v, &args.o}) {
    tensor->batch = 0;
    tensor->data = nullptr;
    tensor->seq_stride = -3;
  }
  args.lse.batch = 0;
  CHECK(complaint(true).empty());
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
    args.q_offset = huge;
    CHECK(complaint_of_device() ==
          "q_offset: is 1099511627776 with 10 rows, positions must lie within +-536870911");
    args.q_offset = 0;
    args.k_offset = -huge;
    CHECK(complaint_of_device() ==
          "k_offset: is -1099511627776 with 30 rows, positions must lie within +-536870911");
    args.k_offset = std::numeric_limits<std::int64_t>::max() - 5;
    CHECK(complaint() ==
          "k_offset: is 9223372036854775802 with 30 rows, positions must lie within "
          "+-4611686018427387903");
  }
}

}  // namespace streamattn

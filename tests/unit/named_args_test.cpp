// Every complaint about the scalars and tensors that a mask, a score or a sink names.
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <vector>

#include "compiler/operations/forward/call.h"
#include "compiler/operations/forward/check.h"
#include "streamattn/error.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

namespace streamattn {
namespace {

/// Valid arguments, for a test to break: 2 batch entries, 10 queries, 30 keys, 4 heads, 2 KV heads.
struct Fixture {
  std::vector<float> memory = std::vector<float>(1 << 14);
  std::vector<std::int32_t> ids = std::vector<std::int32_t>(64);
  std::vector<float> slopes = std::vector<float>(4);
  std::vector<std::uint16_t> bias = std::vector<std::uint16_t>(2 * 30);
  Problem problem{.head_dim = 16,
                  .group_size = 2,
                  .mask = Expr::parse("doc[batch, q] == doc[batch, k] && k > q - window"),
                  .score = Expr::parse("score / cap + slope[head] * (k // step:i32) + "
                                       "bias:bf16[kv_head, min(k, 29)]",
                                       ExprRole::score),
                  .sink = Expr::parse("slope[head]", ExprRole::score)};
  std::vector<ScalarArg> scalars = {{"step", 4}, {"window", 512}, {"cap", 30.5}};
  std::vector<TensorArg> tensors = {
      TensorArg::dense("slope", slopes.data(), DType::f32, {4}),
      TensorArg::dense("doc", ids.data(), DType::i32, {2, 30}),
      TensorArg::dense("bias", bias.data(), DType::bf16, {2, 30}),
  };
  ForwardArgs args{.q = at(0, 10, 4), .k = at(1, 30, 2), .v = at(2, 30, 2), .o = at(3, 10, 4)};

  Tensor at(int part, std::int64_t seq, std::int64_t heads) {
    return Tensor::bshd(memory.data() + 2048 * part, DType::bf16, 2, seq, heads, 16);
  }

  TensorArg& tensor(std::string_view name) {
    return *std::ranges::find(tensors, name, &TensorArg::name);
  }
  double& scalar(std::string_view name) {
    return std::ranges::find(scalars, name, &ScalarArg::name)->value;
  }

  /// The complaint about the arguments; empty if there is none.
  std::string complaint() {
    args.scalars = scalars, args.tensors = tensors;
    return refusal_of([&] { check_forward(problem, args); });
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "names may be given in any order") {
  CHECK(complaint().empty());
  std::ranges::reverse(scalars);
  std::ranges::reverse(tensors);
  CHECK(complaint().empty());
}

TEST_CASE_METHOD(Fixture, "every name of a problem is given once and no other") {
  SECTION("missing") {
    scalars.pop_back();
    CHECK(complaint() == "scalar \"cap\" is missing, the problem names it");
    scalars.clear();
    CHECK(complaint() == "scalar \"window\" is missing, the problem names it");
    scalars = Fixture().scalars;
    tensors.erase(tensors.begin());
    CHECK(complaint() == "tensor \"slope\" is missing, the problem names it");
  }
  SECTION("twice") {
    scalars.push_back({"cap", 3});
    CHECK(complaint() == "scalar \"cap\" is given twice");
    scalars.pop_back();
    tensors.push_back(tensors[0]);
    CHECK(complaint() == "tensor \"slope\" is given twice");
  }
  SECTION("unknown") {
    scalars.push_back({"windw", 3});
    CHECK(complaint() ==
          "scalar \"windw\": the problem names no such scalar, did you mean \"window\"?");
    scalars.back().name = "entirely_different";
    CHECK(complaint() ==
          "scalar \"entirely_different\": the problem names no such scalar, known: window, cap, "
          "step");
    scalars.pop_back();
    tensors.push_back({.name = "docs"});
    CHECK(complaint() ==
          "tensor \"docs\": the problem names no such tensor, did you mean \"doc\"?");
  }
  SECTION("of the other kind") {
    scalars.push_back({"doc", 3});
    CHECK(complaint() == "\"doc\" is given as a scalar, the problem names a tensor");
    scalars.pop_back();
    tensors.push_back(TensorArg::dense("window", ids.data(), DType::i32, {1}));
    CHECK(complaint() == "\"window\" is given as a tensor, the problem names a scalar");
  }
  SECTION("where there are none") {
    problem = {.head_dim = 16, .group_size = 2};
    CHECK(complaint() == "scalar \"step\": the problem names no scalar");
    scalars.clear();
    CHECK(complaint() == "tensor \"slope\": the problem names no tensor");
    tensors.clear();
    CHECK(complaint().empty());
  }
}

TEST_CASE_METHOD(Fixture, "scalars are in the range of their type") {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  for (const double fits : {-1073741824.0, 0.0, 1073741824.0}) {
    scalar("window") = fits;
    CHECK(complaint().empty());
  }
  scalar("window") = 1.5;
  CHECK(complaint() == "scalar \"window\": is 1.50, needs a whole number within +-2^30 (i32)");
  scalar("window") = 1073741825;
  CHECK(complaint() ==
        "scalar \"window\": is 1073741825.00, needs a whole number within +-2^30 (i32)");
  scalar("window") = std::numeric_limits<double>::quiet_NaN();
  CHECK_THAT(complaint(), contains_text("needs a whole number within +-2^30 (i32)"));
  scalar("window") = 1;
  for (const double fits : {-1e30, 0.0, infinity}) {
    scalar("cap") = fits;
    CHECK(complaint().empty());
  }
  scalar("cap") = 1e39;
  CHECK_THAT(complaint(), contains_text("does not fit float32"));
  scalar("cap") = 1;
  scalar("step") = 0;
  CHECK(complaint() == "scalar \"step\": is 0, must be positive (it divides)");
  scalar("step") = -3;
  CHECK(complaint() == "scalar \"step\": is -3, must be positive (it divides)");
}

TEST_CASE_METHOD(Fixture, "named tensors have the type and the dimensions that a problem says") {
  tensor("bias").dtype = DType::f16;
  CHECK(complaint() == "tensor \"bias\": dtype is f16, needs bf16");
  tensor("bias").dtype = DType::bf16;
  tensor("doc").rank = 1;
  CHECK(complaint() == "tensor \"doc\": rank is 1, needs 2 (its indices)");
  for (const int rank : {-1, 5}) {
    tensor("doc").rank = rank;
    CHECK_THAT(complaint(), contains_text("needs 2 (its indices)"));
  }
  tensor("doc").rank = 2;
  tensor("doc").sizes[1] = -30;
  CHECK(complaint() == "tensor \"doc\": size 1 is -30, needs 0 to 2^31 - 1");
  tensor("doc").sizes[1] = std::int64_t{1} << 31;
  CHECK(complaint() == "tensor \"doc\": size 1 is 2147483648, needs 0 to 2^31 - 1");
  tensor("doc").sizes[1] = 30;
  tensor("doc").strides[0] = std::int64_t{1} << 60;
  CHECK(complaint() == "tensor \"doc\": its strides span more than 2^62 bytes");
}

TEST_CASE_METHOD(Fixture, "dimensions that are indexed by a variable alone hold all of it") {
  SECTION("counts") {
    tensor("doc").sizes[0] = 1;
    CHECK(complaint() ==
          "tensor \"doc\": size 0 is 1, needs 2 (batch of q: it is indexed by batch)");
    tensor("doc").sizes[0] = 2;
    tensor("slope").sizes[0] = 3;
    CHECK(complaint() ==
          "tensor \"slope\": size 0 is 3, needs 4 (heads of q: it is indexed by head)");
    tensor("slope").sizes[0] = 4;
    tensor("bias").sizes[0] = 1;
    CHECK(complaint() ==
          "tensor \"bias\": size 0 is 1, needs 2 (heads of k: it is indexed by kv_head)");
  }
  SECTION("positions of keys and of queries") {
    tensor("doc").sizes[1] = 29;
    CHECK(complaint() ==
          "tensor \"doc\": size 1 is 29, needs positions 20 to 29 (it is indexed by q)");
    args.q_rows = Rows{0, 9};
    CHECK(complaint() ==
          "tensor \"doc\": size 1 is 29, needs positions 0 to 29 (it is indexed by k)");
    args.kv_rows = Rows{1, 29};
    CHECK(complaint().empty());
    args.q_offset = -1;
    CHECK(complaint() ==
          "tensor \"doc\": size 1 is 29, needs positions -1 to 7 (it is indexed by q)");
    args.q_rows = Rows{3, 3};
    CHECK(complaint().empty());
    args.k_offset = 1;
    CHECK(complaint() ==
          "tensor \"doc\": size 1 is 29, needs positions 2 to 29 (it is indexed by k)");
  }
  SECTION("other indices may leave it") {
    tensor("bias").sizes[1] = 0;
    CHECK(complaint().empty());
  }
}

TEST_CASE_METHOD(Fixture, "named tensors have memory of their own") {
  SECTION("null") {
    tensor("slope").data = nullptr;
    CHECK(complaint() == "tensor \"slope\": data is null");
    check_forward_sizes(problem, args);
  }
  SECTION("null without elements") {
    tensor("bias").data = nullptr;
    tensor("bias").sizes[1] = 0;
    CHECK(complaint().empty());
  }
  SECTION("alignment") {
    tensor("bias").data = reinterpret_cast<char*>(bias.data()) + 1;
    CHECK_THAT(complaint(), contains_text("needs a multiple of 2"));
  }
  SECTION("outputs") {
    tensor("doc").data = args.q.data;
    CHECK(complaint().empty());
    tensor("doc").data = static_cast<char*>(args.o.data) + 4;
    CHECK(complaint() == "o: overlaps tensor \"doc\", an output needs memory of its own");
    tensor("doc").data = ids.data();
    tensor("doc").strides = {-30, -1};
    args.lse = Tensor::bshd(ids.data() - 1, DType::f32, 2, 10, 4, 1);
    CHECK(complaint() == "lse: overlaps tensor \"doc\", an output needs memory of its own");
  }
  SECTION("workspace") {
    args.workspace = {slopes.data(), 4};
    CHECK(complaint() == "workspace: overlaps tensor \"slope\", it needs memory of its own");
  }
}

TEST_CASE_METHOD(Fixture, "a resolved call has the values in the order of the names") {
  args.scalars = scalars, args.tensors = tensors;
  args.q_rows = Rows{2, 5};
  const ForwardCall call = resolve(problem, args);
  const ExprNames names(problem);
  REQUIRE(names.scalars.size() == 3);
  for (std::size_t i = 0; i < 3; i++) {
    const ExprName& name = names.scalars[i];
    const double value = name.dtype == DType::f32 ? std::bit_cast<float>(call.named.scalars[i])
                                                  : call.named.scalars[i];
    CHECK(value == scalar(name.name));
  }
  REQUIRE(names.tensors.size() == 3);
  for (std::size_t i = 0; i < 3; i++) {
    const TensorArg& given = tensor(names.tensors[i].name);
    const NamedTensor& found = call.named.tensors[i];
    CHECK(found.data == given.data);
    for (int d = 0; d < 4; d++) {
      CHECK(found.sizes[d] == given.sizes[d]);
      CHECK(found.strides[d] == given.strides[d]);
    }
  }
  CHECK(call.whole_q_len == 10);
  CHECK(call.whole_kv_len == 30);
  CHECK(call.q_len() == 3);
}

TEST_CASE("a dense named tensor has its last dimension contiguous") {
  const TensorArg tensor = TensorArg::dense("x", nullptr, DType::u8, {5, 7, 3});
  CHECK(tensor.rank == 3);
  CHECK(tensor.sizes == std::array<std::int64_t, 4>{5, 7, 3, 0});
  CHECK(tensor.strides == std::array<std::int64_t, 4>{21, 3, 1, 0});
}

}  // namespace streamattn

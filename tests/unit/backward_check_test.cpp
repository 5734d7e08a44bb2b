// What a backward launch refuses, sentence by sentence.
#include "compiler/operations/backward/check.h"

#include <vector>

#include "measure/backward_case.h"
#include "streamattn/error.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

namespace streamattn {
namespace {

/// Arguments that are fine.
struct Fixture {
  Problem problem{
      .dtype = DType::bf16,
      .head_dim = 16,
      .value_head_dim = 8,
      .group_size = 2,
      .score = Expr::parse("score + slope[head] * (k - q) + jump[doc:i32[k]]", ExprRole::score)};
  std::vector<char> memory = std::vector<char>(1 << 20);
  std::vector<TensorArg> tensors;
  std::vector<TensorGradient> gradients;
  BackwardArgs args;
  char* next = memory.data();

  void* take(std::size_t bytes) {
    void* const taken = next;
    next += (bytes + 255) / 256 * 256;
    return taken;
  }

  Tensor tensor(DType type, std::int64_t seq, std::int64_t heads, std::int64_t dim) {
    return Tensor::bshd(take(2 * seq * heads * dim * bytes(type)), type, 2, seq, heads, dim);
  }

  Fixture() {
    args.q = tensor(DType::bf16, 10, 4, 16);
    args.k = tensor(DType::bf16, 30, 2, 16);
    args.v = tensor(DType::bf16, 30, 2, 8);
    args.o = tensor(DType::bf16, 10, 4, 8);
    args.lse = tensor(DType::f32, 10, 4, 1);
    args.d_o = tensor(DType::bf16, 10, 4, 8);
    args.d_q = tensor(DType::bf16, 10, 4, 16);
    args.d_k = tensor(DType::f32, 30, 2, 16);
    args.d_v = tensor(DType::bf16, 30, 2, 8);
    tensors = {TensorArg::dense("slope", take(16), DType::f32, {4}),
               TensorArg::dense("jump", take(64), DType::f32, {16}),
               TensorArg::dense("doc", take(200), DType::i32, {30})};
    gradients = {TensorGradient::dense(static_cast<float*>(take(16)), tensors[0])};
    args.tensors = tensors;
    args.gradients = gradients;
  }

  std::string complaint() {
    return refusal_of([&] { check_backward(problem, args); });
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "arguments of a backward launch that fit are taken") {
  CHECK(complaint().empty());
}

TEST_CASE_METHOD(Fixture, "inputs of a backward launch must be there and fit each other") {
  SECTION("the LSE is needed") {
    args.lse = {};
    CHECK(complaint() == "lse: dtype is bf16, needs f32 (natural logarithms)");
    args.lse.dtype = DType::f32;
    CHECK(complaint() == "lse: batch is 0, needs 2 (batch of q)");
  }
  SECTION("d_o is as o") {
    args.d_o.dtype = DType::f32;
    CHECK(complaint() == "d_o: dtype is f32, needs bf16 (out_dtype of the problem)");
    args.d_o.dtype = DType::bf16;
    args.d_o.seq = 9;
    CHECK(complaint() == "d_o: seq is 9, needs 10 (as o)");
  }
  SECTION("memory") {
    args.d_o.data = nullptr;
    CHECK(complaint() == "d_o: data is null, needs [2, 10, 4, 8] elements");
  }
  SECTION("what forward checks") {
    args.k.heads = 3;
    CHECK(complaint() == "k: heads is 3, needs 2 (heads of q / group_size)");
  }
}

TEST_CASE_METHOD(Fixture,
                 "gradients have the sizes of what they are gradients of, and its type or f32") {
  SECTION("sizes") {
    args.d_k.heads = 4;
    CHECK(complaint() == "d_k: heads is 4, needs 2 (as k)");
  }
  SECTION("types") {
    args.d_q.dtype = DType::f16;
    CHECK(complaint() == "d_q: dtype is f16, needs bf16 or f32");
  }
  SECTION("only f32 accumulates") {
    args.accumulate = true;
    CHECK(complaint() == "d_q: dtype is bf16, needs f32 (gradients accumulate)");
  }
}

TEST_CASE("gradients of sequences lie where the sequences do, and apart from their lengths") {
  BackwardTensors tensors({.forward = {.problem = {.head_dim = 16,
                                                   .q_layout = SequenceLayout::packed,
                                                   .kv_layout = SequenceLayout::packed},
                                       .shape = {2, 2, 10, 12},
                                       .lengths = {.q = {10, 3}, .kv = {5, 12}}}});
  BackwardArgs args = tensors.args();
  const Problem problem{
      .head_dim = 16, .q_layout = SequenceLayout::packed, .kv_layout = SequenceLayout::packed};
  const auto complaint = [&] { return refusal_of([&] { check_backward(problem, args); }); };
  SECTION("they fit") { CHECK(complaint().empty()); }
  SECTION("d_k is of all keys") {
    args.d_k.seq = 12;
    CHECK(complaint() == "d_k: seq is 12, needs 17 (as k)");
  }
  SECTION("offsets must be there") {
    args.sequences.cu_seqlens_kv = nullptr;
    CHECK(complaint() == "sequences: cu_seqlens_kv is null, the problem has kv_layout packed");
  }
  SECTION("offsets are inputs") {
    args.sequences.cu_seqlens_kv = static_cast<const std::int32_t*>(args.d_v.data);
    CHECK(complaint() == "d_v: overlaps cu_seqlens_kv, an output needs memory of its own");
  }
  SECTION("sub-ranges are not of sequences") {
    args.kv_rows = Rows{0, 3};
    CHECK(complaint() == "kv_rows: must stay out where lengths stand on the device");
  }
}

TEST_CASE_METHOD(Fixture, "a gradient has memory of its own") {
  SECTION("over an input") {
    args.d_q.data = args.q.data;
    CHECK(complaint() == "d_q: overlaps q, an output needs memory of its own");
  }
  SECTION("over a gradient") {
    args.d_v.data = args.d_k.data;
    CHECK(complaint() == "d_k: overlaps d_v, an output needs memory of its own");
  }
  SECTION("over itself") {
    args.d_k.seq_stride = 0;
    CHECK(complaint() ==
          "d_k: strides [960, 0, 16] put several elements at one place, an output needs a place "
          "for each");
  }
  SECTION("of a tensor") {
    gradients[0].data = static_cast<float*>(const_cast<void*>(tensors[0].data));
    CHECK(complaint() ==
          "gradient of tensor \"slope\": overlaps tensor \"slope\", an output needs memory of its "
          "own");
    gradients[0].strides[0] = 0;
    CHECK(complaint() ==
          "gradient of tensor \"slope\": strides [0] put several elements at one place, an output "
          "needs a place for each");
  }
  SECTION("inputs may share theirs") {
    args.o.data = args.d_o.data = args.v.data;
    CHECK(complaint().empty());
  }
}

TEST_CASE_METHOD(Fixture, "gradients of tensors are those of reals that the problem names") {
  SECTION("unknown") {
    gradients[0].name = "slop";
    CHECK(complaint() == "gradient of tensor \"slop\": the problem names no such tensor");
  }
  SECTION("of integers") {
    gradients[0].name = "doc";
    CHECK(complaint() == "gradient of tensor \"doc\": is i32, only tensors of reals have one");
  }
  SECTION("twice") {
    gradients.push_back(gradients[0]);
    args.gradients = gradients;
    CHECK(complaint() == "gradient of tensor \"slope\": is given twice");
  }
  SECTION("null") {
    gradients[0].data = nullptr;
    CHECK(complaint() == "gradient of tensor \"slope\": data is null");
  }
  SECTION("wide strides") {
    gradients[0].strides[0] = std::int64_t{1} << 61;
    CHECK(complaint() == "gradient of tensor \"slope\": its strides span more than 2^62 bytes");
  }
}

}  // namespace streamattn

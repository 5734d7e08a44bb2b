// What an append launch refuses, sentence by sentence.
#include "compiler/operations/append/check.h"

#include <limits>
#include <vector>

#include "streamattn/error.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

namespace streamattn {
namespace {

/// Arguments that are fine.
struct Fixture {
  Problem problem{.head_dim = 16, .value_head_dim = 8, .group_size = 2};
  std::vector<char> memory = std::vector<char>(1 << 20);
  char* next = memory.data();
  AppendArgs args;

  Fixture() { fill(); }

  void fill() {
    next = memory.data();
    args = {};
    args.new_k = tensor(DType::bf16, 10, 2, 16);
    args.new_v = tensor(DType::bf16, 10, 2, 8);
    args.k = tensor(DType::bf16, 30, 2, 16);
    args.v = tensor(DType::bf16, 30, 2, 8);
    args.q = tensor(DType::bf16, 10, 4, 16);
    args.rotated_q = tensor(DType::bf16, 10, 4, 16);
    args.rope = {.style = RopeStyle::split_half, .dim = 8};
    args.rope.cos = tensor(DType::f32, 40, 1, 4);
    args.rope.sin = tensor(DType::f32, 40, 1, 4);
    args.rope.cos.batch = args.rope.sin.batch = 1;
  }

  Tensor tensor(DType type, std::int64_t seq, std::int64_t heads, std::int64_t dim) {
    void* const taken = next;
    next += (2 * seq * heads * dim * bytes(type) + 255) / 256 * 256;
    return Tensor::bshd(taken, type, 2, seq, heads, dim);
  }

  /// What is said of the arguments after `change`, which is undone.
  template <class Change>
  std::string complaint(const Change& change) {
    change(args);
    const std::string found = error_of([&] { check_append(problem, args); });
    fill();
    return found;
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "append arguments that fit are taken") {
  CHECK(complaint([](AppendArgs&) {}) == "nothing");
  CHECK(complaint([](AppendArgs& a) { a.rotated_q = a.q; }) == "nothing");
  CHECK(complaint([](AppendArgs& a) { a.q = a.rotated_q = {}; }) == "nothing");
  CHECK(complaint([](AppendArgs& a) { a.rope = {}; }) == "nothing");
  CHECK(complaint([](AppendArgs& a) { a.rope = {.style = RopeStyle::interleaved}; }) == "nothing");
}

TEST_CASE_METHOD(Fixture, "append tensors of a wrong type or size are named") {
  const auto says = [&](const auto& change, const char* text) {
    CHECK_THAT(complaint(change), contains_text(text));
  };
  says([](AppendArgs& a) { a.new_k.dtype = DType::f16; },
       "new_k: dtype is f16, needs bf16 (dtype of the problem)");
  says([](AppendArgs& a) { a.new_k.batch = -1; }, "new_k: batch is -1, must not be negative");
  says([](AppendArgs& a) { a.new_k.seq = 1LL << 62; },
       "new_k: seq is 4611686018427387904, must be");
  says([](AppendArgs& a) { a.k.seq = -2; }, "k: seq is -2, must not be negative");
  says([](AppendArgs& a) { a.new_k.dim = 8; }, "new_k: dim is 8, needs 16 (head_dim)");
  says([](AppendArgs& a) { a.new_v.seq = 9; }, "new_v: seq is 9, needs 10 (seq of new_k)");
  says([](AppendArgs& a) { a.k.batch = 3; }, "k: batch is 3, needs 2 (sequences or pages)");
  says([](AppendArgs& a) { a.v.seq = 29; }, "v: seq is 29, needs 30 (seq of k)");
  says([](AppendArgs& a) { a.q.heads = 2; },
       "q: heads is 2, needs 4 (heads of new_k * group_size)");
  says([](AppendArgs& a) { a.q = {}; }, "q: is left out, rotated_q is given");
  says([](AppendArgs& a) { a.rotated_q = {}; }, "rotated_q: is left out, q is given");
  says([](AppendArgs& a) { a.k_offset = 1LL << 62; },
       "k_offset: is 4611686018427387904 with 30 rows");
  says([](AppendArgs& a) { a.max_sms = -1; }, "max_sms: is -1, must not be negative");
  says([](AppendArgs& a) { a.sequences.batch = 2; },
       "sequences: batch is 2, the problem has no lengths that differ");
}

TEST_CASE_METHOD(Fixture, "a rotation that cannot be is refused") {
  const auto says = [&](const auto& change, const char* text) {
    CHECK_THAT(complaint([&](AppendArgs& a) { change(a.rope); }), contains_text(text));
  };
  says([](Rope& r) { r.style = RopeStyle::none; }, "rope: tables are given, the style is none");
  says([](Rope& r) { r = {.dim = 8}; }, "rope: a number of columns is given, the style is none");
  const char* const dims = "needs an even number of columns up to head_dim 16";
  for (const int dim : {-2, 3, 18}) says([&](Rope& r) { r.dim = dim; }, dims);
  says([](Rope& r) { r.theta = 0; }, "rope: theta is 0.00, must be finite and positive");
  says([](Rope& r) { r.factor = std::numeric_limits<double>::infinity(); },
       "rope: factor is INF, must be finite and positive");
  says([](Rope& r) { r.sin = {}; }, "rope.sin: is left out, rope.cos is given");
  says([](Rope& r) { r.sin.dtype = DType::bf16; },
       "rope.sin: dtype is bf16, needs f32 (factors of pairs)");
  says([](Rope& r) { r.cos.seq = 0; }, "rope.cos: seq is 0, needs 1 or more (positions)");
  says([](Rope& r) { r.sin.seq = 30; }, "rope.sin: seq is 30, needs 40 (seq of rope.cos)");
  says([](Rope& r) { r.cos.dim = 8; }, "rope.cos: dim is 8, needs 4 (half of rope.dim)");
  says([](Rope& r) { r.cos.heads = 2; }, "rope.cos: heads is 2, needs 1 (all heads share it)");
}

TEST_CASE_METHOD(Fixture, "append outputs that share memory, and memory that lacks, are refused") {
  const auto says = [&](const auto& change, const char* text) {
    CHECK_THAT(complaint(change), contains_text(text));
  };
  says([](AppendArgs& a) { a.k.data = a.new_k.data; }, "k: overlaps new_k");
  says([](AppendArgs& a) { a.v.data = a.k.data; }, "k: overlaps v");
  says([](AppendArgs& a) { a.rotated_q.data = static_cast<char*>(a.q.data) + 2; },
       "rotated_q: overlaps q");
  says([](AppendArgs& a) { a.v.data = nullptr; }, "v: data is null");
  says([](AppendArgs& a) { a.rope.cos.data = nullptr; }, "rope.cos: data is null");
  problem.kv_lens = true;
  says([](AppendArgs&) {}, "sequences: kv_lens is null, the problem has kv_lens");
  problem.q_layout = SequenceLayout::packed;
  says([](AppendArgs&) {}, "new_k: batch is 2, needs 1 (new_k is packed)");
}

TEST_CASE("styles of rotation have names") {
  for (const RopeStyle style : {RopeStyle::none, RopeStyle::interleaved, RopeStyle::split_half})
    CHECK(parse_rope_style(name(style)) == style);
  CHECK_THROWS_WITH(parse_rope_style("neox"),
                    "unknown rope style \"neox\", known: none, interleaved, split_half");
}

}  // namespace streamattn

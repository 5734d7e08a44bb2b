// Every complaint about the lengths and places of sequences.
#include <cstdint>
#include <string>
#include <vector>

#include "compiler/operations/forward/check.h"
#include "streamattn/error.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

namespace streamattn {
namespace {

/// Valid arguments of a packed q and paged keys, for a test to break.
struct Fixture {
  std::vector<float> memory = std::vector<float>(1 << 14);
  std::vector<std::int32_t> words = std::vector<std::int32_t>(64);
  Problem problem{.dtype = DType::bf16,
                  .head_dim = 16,
                  .q_layout = SequenceLayout::packed,
                  .kv_layout = SequenceLayout::paged};
  ForwardArgs args{.q = at(0, 1, 10),
                   .k = at(1, 6, 8),
                   .v = at(2, 6, 8),
                   .o = at(3, 1, 10),
                   .sequences = {.batch = 3,
                                 .cu_seqlens_q = words.data(),
                                 .kv_lens = words.data() + 8,
                                 .block_table = words.data() + 16,
                                 .pages = 4}};

  Tensor at(int part, std::int64_t batch, std::int64_t seq) {
    return Tensor::bshd(memory.data() + 2048 * part, DType::bf16, batch, seq, 2, 16);
  }

  std::string complaint() const {
    return refusal_of([&] { check_forward(problem, args); });
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "lengths and places that fit are accepted") {
  CHECK(complaint().empty());
  args.sequences.max_q_len = 4;
  args.sequences.block_table_stride = 5;
  CHECK(complaint().empty());
}

TEST_CASE_METHOD(Fixture, "arrays that a problem has must be there") {
  args.sequences.cu_seqlens_q = nullptr;
  CHECK(complaint() == "sequences: cu_seqlens_q is null, the problem has q_layout packed");
  check_forward_sizes(problem, args);  // which reads no address
  args.sequences.cu_seqlens_q = words.data();
  args.sequences.kv_lens = nullptr;
  CHECK(complaint() == "sequences: kv_lens is null, the problem has kv_lens");
  args.sequences.kv_lens = words.data();
  args.sequences.block_table = nullptr;
  CHECK(complaint() == "sequences: block_table is null, the problem has kv_layout paged");
}

TEST_CASE_METHOD(Fixture, "arrays that a problem does not have must stay out") {
  args.sequences.q_lens = words.data();
  CHECK(complaint() == "sequences: q_lens is given, the problem has no q_lens");
  args.sequences.q_lens = nullptr;
  args.sequences.cu_seqlens_kv = words.data();
  CHECK(complaint() == "sequences: cu_seqlens_kv is given, the problem has no kv_layout packed");
  problem.q_layout = problem.kv_layout = SequenceLayout::dense;
  args.sequences = {.batch = 2};
  CHECK(complaint() == "sequences: batch is 2, the problem has no lengths that differ");
  args.sequences = {.max_kv_len = 7};
  CHECK(complaint() == "sequences: max_kv_len is 7, the problem has no lengths that differ");
  args.sequences = {.pages = 7};
  CHECK(complaint() == "sequences: pages is 7, the problem has no kv_layout paged");
}

TEST_CASE_METHOD(Fixture, "arrays are aligned to their elements") {
  args.sequences.kv_lens =
      reinterpret_cast<const std::int32_t*>(reinterpret_cast<const char*>(words.data()) + 2);
  CHECK(complaint().find("needs a multiple of 4") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "sizes of sequences must fit the tensors and each other") {
  args.q.batch = 2;
  CHECK(complaint() == "q: batch is 2, needs 1 (q is packed)");
  args.q.batch = 1;
  args.sequences.block_table_stride = 3;
  CHECK(complaint() == "sequences: block_table_stride is 3, needs 4 (pages) or more, or 0");
  args.sequences.block_table_stride = 0;
  args.sequences.pages = -1;
  CHECK(complaint() == "sequences: pages is -1, must not be negative");
  args.sequences.pages = std::int64_t{1} << 30;
  CHECK(complaint() ==
        "sequences: 1073741824 pages of 8 keys are too many, needs less than 2147483648 keys");
  args.sequences.pages = 4;
  args.k.seq = args.v.seq = 0;
  CHECK(complaint() == "k: seq is 0, needs 1 or more (page_size)");
}

TEST_CASE_METHOD(Fixture, "dense tensors have an entry for each sequence") {
  problem.q_layout = SequenceLayout::dense;
  args.q = args.o = at(0, 3, 2);
  args.o = at(3, 3, 2);
  args.sequences.cu_seqlens_q = nullptr;
  CHECK(complaint().empty());
  args.sequences.batch = 4;
  CHECK(complaint() == "sequences: batch is 4, needs 3 (batch of q) or 0");
  problem.q_layout = SequenceLayout::packed;
  problem.kv_layout = SequenceLayout::dense;
  problem.kv_lens = true;
  args.q = at(0, 1, 2), args.o = at(3, 1, 2);
  args.k = args.v = at(1, 2, 8);
  args.sequences = {.batch = 3, .cu_seqlens_q = words.data(), .kv_lens = words.data()};
  CHECK(complaint() == "k: batch is 2, needs 3 (batch of sequences)");
  problem.kv_layout = SequenceLayout::packed;
  problem.kv_lens = false;
  args.sequences = {.batch = 3, .cu_seqlens_q = words.data(), .cu_seqlens_kv = words.data()};
  CHECK(complaint() == "k: batch is 2, needs 1 (k is packed)");
}

TEST_CASE_METHOD(Fixture, "ranges of rows need lengths that the host knows") {
  args.q_rows = Rows{0, 1};
  CHECK(complaint() == "q_rows: must stay out where lengths stand on the device");
}

TEST_CASE_METHOD(Fixture, "outputs and workspace share no memory with arrays of sequences") {
  args.sequences.block_table = static_cast<const std::int32_t*>(args.o.data) + 3;
  CHECK(complaint() == "o: overlaps block_table, an output needs memory of its own");
  args.sequences.block_table = words.data() + 16;
  args.workspace = {words.data(), 64};
  CHECK(complaint() == "workspace: overlaps cu_seqlens_q, it needs memory of its own");
}

TEST_CASE("queries do not lie in pages") {
  const Problem problem{.q_layout = SequenceLayout::paged};
  CHECK_THROWS_WITH(problem.validate(), "q_layout paged: only keys lie in pages");
}

TEST_CASE("a problem says which of its tensors are not dense") {
  Problem problem{.q_layout = SequenceLayout::packed, .kv_layout = SequenceLayout::paged};
  CHECK(problem.describe() ==
        "bf16 -> bf16, head_dim 128, group 1; mask: true; q packed; kv paged; kv_lens");
  Problem same = problem;
  same.kv_lens = true;  // paged keys always have them
  CHECK(problem == same);
  same.q_lens = true;
  CHECK(!(problem == same));
}

TEST_CASE("layouts have names") {
  for (const SequenceLayout layout :
       {SequenceLayout::dense, SequenceLayout::packed, SequenceLayout::paged})
    CHECK(parse_sequence_layout(name(layout)) == layout);
  CHECK_THROWS_WITH(parse_sequence_layout("ragged"),
                    "unknown layout \"ragged\", known: dense, packed, paged");
}

}  // namespace streamattn

// Calls of flash_wgmma on the emulator whose sequences differ.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "streamattn/error.h"
#include "tests/emulated/emulated_case.h"
#include "tests/support/catch.h"
#include "tests/support/random_sequences.h"

namespace streamattn {

inline constexpr const char* ragged_kinds[] = {
    "tile_q=128,tile_kv=64,stages=2,math_warpgroups=2,ping_pong=true,q_in_registers=true,"
    "o_buffer=true,o_passes=1,softmax=stale",
    "tile_q=192,tile_kv=48,stages=3,math_warpgroups=3,ping_pong=true,q_in_registers=false,"
    "o_buffer=true,o_passes=1,softmax=exact",
    "tile_q=64,tile_kv=32,stages=4,math_warpgroups=1,ping_pong=false,q_in_registers=true,"
    "o_buffer=true,o_passes=1,softmax=stale"};

/// A schedule of the family for long sequences, of a kind.
inline Schedule ragged_schedule(const Problem& problem, std::size_t kind) {
  const Schedule chosen =
      choose(Operation::forward, problem, {4, 8, 4096, 4096}, find_target("sm_90a")).schedule;
  return parse_schedule(ragged_kinds[kind % std::size(ragged_kinds)], chosen);
}

inline EmulatedKernel ragged_kernel(const Problem& problem, const Schedule& schedule,
                                    std::span<const EmbeddedFile> instead = {}) {
  return {problem,
          {schedule, "a test"},
          emit(Operation::forward, problem, schedule, find_target("sm_90a")),
          instead};
}

inline void check_case(const EmulatedKernel& kernel, const ForwardCase& given,
                       int multiprocessors = 3) {
  INFO(given.describe() << ", " << multiprocessors << " multiprocessors");
  const ForwardTensors tensors(given);
  kernel.emulate(tensors.args(), {.seed = given.seed, .multiprocessors = multiprocessors});
  check_result(given.problem, tensors.args(), tensors);
}

/// Sequences of these lengths, of two KV heads.
inline ForwardCase ragged_case(const Problem& problem, const std::vector<std::int64_t>& q,
                               const std::vector<std::int64_t>& kv) {
  ForwardCase given{.problem = problem,
                    .shape = {.batch = static_cast<std::int64_t>(q.size()), .kv_heads = 2},
                    .lengths = {.q = q, .kv = kv}};
  given.shape.q_len = *std::ranges::max_element(q);
  given.shape.kv_len = *std::ranges::max_element(kv);
  return given;
}

/// What flash_wgmma takes of random batches.
inline SequenceDraw ragged_draw() {
  return {.types = {DType::f16, DType::bf16},
          .head_dims = {16, 64, 80},
          .value_head_dims = {40, 64},
          .group_sizes = {1, 2, 3},
          .page_sizes = {1, 3, 8, 12, 16, 24, 64, 128, 256},
          .most_queries = 260,
          .most_keys = 330};
}

/// O and LSE, bit by bit.
inline std::vector<double> values_of(const ForwardArgs& args) {
  RowValues values = read_rows(args, all_rows(args));
  values.o.insert(values.o.end(), values.lse.begin(), values.lse.end());
  return values.o;
}

/// Those of a run.
inline std::vector<double> result_of(const EmulatedKernel& kernel, const ForwardCase& given,
                                     const Emulation& how = {}) {
  const ForwardTensors tensors(given);
  kernel.emulate(tensors.args(), how);
  return values_of(tensors.args());
}

/// What is noticed of a fault, planted where sequences differ: a report of the emulator, "wrong
/// result", or "nothing".
inline std::string ragged_report(const Problem& problem, const Schedule& schedule,
                                 const ForwardCase& given, const Fault& fault,
                                 int multiprocessors = 2) {
  const std::string text = faulty_text(fault);
  const EmbeddedFile instead[] = {{fault.file, text}};
  const EmulatedKernel kernel = ragged_kernel(problem, schedule, instead);
  const ForwardTensors tensors(given);
  try {
    kernel.emulate(tensors.args(),
                   {.seed = 1, .multiprocessors = multiprocessors, .slice_seconds = 0.2});
  } catch (const Error& error) {
    if (error.code() != ErrorCode::launch_failed) throw;
    return error.what();
  }
  return check_accuracy(given, tensors, Arithmetic::float32).ok() ? "nothing" : "wrong result";
}

/// A fault where sequences differ, and what the report of it has in it.
struct RaggedFault {
  const char* what;
  Fault fault;
  const char* cause;  ///< empty: any report, or a wrong result
};

/// Each of them is noticed.
inline void check_noticed(std::span<const RaggedFault> faults, const Problem& problem,
                          const Schedule& schedule, const ForwardCase& given,
                          int multiprocessors = 2) {
  for (const auto& [what, fault, cause] : faults) {
    INFO(what);
    const std::string report = ragged_report(problem, schedule, given, fault, multiprocessors);
    CHECK(report != "nothing");
    CHECK_THAT(report, contains_text(cause));
  }
}

/// Sequences of packed Q, K and V that end before the next one begins.
inline Problem with_gaps() {
  return {.head_dim = 64,
          .mask = causal(),
          .q_layout = SequenceLayout::packed,
          .kv_layout = SequenceLayout::packed,
          .q_lens = true,
          .kv_lens = true};
}

}  // namespace streamattn

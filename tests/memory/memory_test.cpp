// Every request for memory of the C functions' main calls fails once: each call ends in a status
// with a message or in success, nothing is lost, and the library stays usable.
#include <dlfcn.h>

#include <array>
#include <new>

#include "streamattn/jit.h"
#include "tests/memory/failing_memory.h"
#include "tests/support/c_calls.h"
#include "tests/support/forked.h"

namespace streamattn {
namespace {

/// What one call of each function needs. Made before memory fails.
struct Calls {
  Buffers buffers, gradients;
  std::vector<float> d_o = buffers.q;
  streamattn_problem problem = c_problem();
  streamattn_shape shape = c_shape();
  streamattn_named_scalar window = {"window", 9};
  std::vector<float> slopes = std::vector<float>(heads, 0.5F);
  streamattn_named_tensor slope = {"slope", slopes.data(), STREAMATTN_F32, 1, {heads}, {1}};
  streamattn_forward_args forward = buffers.args();
  streamattn_backward_args backward = {};
  streamattn_append_args append = {};
  streamattn_merge_args merge = {};
  std::array<char, 2000> text = {};

  Calls() {
    problem.mask = "k <= q && k > q - window";
    problem.score = "score + slope[head] * (k - q)";
    forward.scalars = &window, forward.scalar_count = 1;
    forward.tensors = &slope, forward.tensor_count = 1;
    backward = backward_of(forward, d_o, gradients);
    append.struct_size = sizeof append;
    append.new_k = append.k = forward.k;
    append.new_v = append.v = forward.v;
    append.k = dense(gradients.k, kv_len, kv_heads, head_dim);
    append.v = dense(gradients.v, kv_len, kv_heads, head_dim);
    merge.struct_size = sizeof merge;
    merge.share_o = forward.o, merge.share_lse = forward.lse;
    merge.o = dense(gradients.o, q_len, heads, head_dim);
    merge.o.batch = batch / 2;
  }
};

/// Whether a call ended as it may where there is no memory.
bool is_told(streamattn_status status) {
  if (status == STREAMATTN_OK) return true;
  return (status == STREAMATTN_INTERNAL_ERROR || status == STREAMATTN_LAUNCH_FAILED) &&
         *streamattn_last_error() != '\0';
}

/// How the calls of a life ended.
struct Outcome {
  bool all_told = true;  ///< each by success, or by a status with a message
  bool all_ok = true;
  void note(streamattn_status status) {
    all_told = all_told && is_told(status);
    all_ok = all_ok && status == STREAMATTN_OK;
  }
};

/// Asks for a kernel of each operation and launches it.
Outcome live(Calls& calls) {
  Outcome outcome;
  streamattn_jit* jit = nullptr;
  const streamattn_jit_options options = {.struct_size = sizeof options, .target = "cpu"};
  outcome.note(streamattn_jit_create(&options, &jit));
  const auto use = [&](auto find, auto launch, const auto& args) {
    const streamattn_kernel* kernel = nullptr;
    if (jit != nullptr) outcome.note(find(jit, &calls.problem, &calls.shape, &kernel));
    if (kernel == nullptr) return;
    outcome.all_ok &= streamattn_describe(kernel, calls.text.data(), calls.text.size()) > 0;
    outcome.note(launch(kernel, &args, nullptr));
  };
  use(streamattn_forward_kernel, streamattn_launch_forward, calls.forward);
  use(streamattn_backward_kernel, streamattn_launch_backward, calls.backward);
  use(streamattn_append_kernel, streamattn_launch_append, calls.append);
  use(streamattn_merge_kernel, streamattn_launch_merge, calls.merge);
  streamattn_jit_destroy(jit);
  return outcome;
}

}  // namespace

TEST_CASE("whatever request for memory fails in a process's first calls, they say so or succeed") {
  Calls calls;
  for (const Fault fault : {Fault::one, Fault::rest}) {
    enum { goes_on, is_over, untold, unusable };
    int code = goes_on;
    std::int64_t request = 1;
    for (; code == goes_on; request += 3) {
      code = exit_code_of_child([&] {
        fail_memory(request, fault);
        const Outcome outcome = live(calls);
        const bool has_failed = end_failing_memory();
        if (!outcome.all_told) return untold;
        if (!live(calls).all_ok) return unusable;
        return has_failed ? goes_on : is_over;
      });
    }
    INFO("request " << request);
    CHECK(code == is_over);
    CHECK(request > 500);
  }
}

TEST_CASE("a driver that there is no memory to open is not one that is missing") {
  REQUIRE(dlopen(FAKE_GPU, RTLD_NOW | RTLD_GLOBAL));
  enum { goes_on, is_over, falls_back };
  int code = goes_on;
  for (std::int64_t request = 1; code == goes_on; request++) {
    INFO("request " << request);
    code = exit_code_of_child([&] {
      fail_memory(request, Fault::one);
      try {
        if (Jit::create().target().is_cpu()) return falls_back;
      } catch (const std::bad_alloc&) {
      }
      const bool has_failed = end_failing_memory();
      if (Jit::create().target().is_cpu()) return falls_back;
      return has_failed ? goes_on : is_over;
    });
  }
  CHECK(code == is_over);
}

TEST_CASE("a request for memory that fails costs no memory") {
  Calls calls;
  calls.forward.max_sms = calls.backward.max_sms = 1;  // threads that help have memory of their own
  calls.append.max_sms = calls.merge.max_sms = 1;
  REQUIRE(live(calls).all_ok);
  streamattn_launch_forward(nullptr, nullptr, nullptr);  // a thread keeps its last error's message
  std::int64_t request = 0, lost = 0;
  for (bool has_failed = true; has_failed;) {
    const std::int64_t before = live_blocks();
    fail_memory(++request, Fault::one);
    live(calls);
    has_failed = end_failing_memory();
    INFO("request " << request);
    // What LLVM was formatting is lost: it is built without exceptions, which pass through it.
    REQUIRE(live_blocks() <= before + 1);
    lost += live_blocks() - before;
  }
  CHECK(lost < request / 25);
}

}  // namespace streamattn

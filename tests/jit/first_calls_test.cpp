// Threads that make the first calls of a process at the same time.
#include <atomic>
#include <barrier>
#include <set>
#include <thread>

#include "measure/operands.h"
#include "streamattn/c_api.h"
#include "streamattn/tuning.h"
#include "tests/jit/fake_gpu.h"
#include "tests/support/forward_case.h"
#include "tests/support/scratch.h"
#include "tests/support/skip.h"

namespace streamattn {
namespace {

constexpr int thread_count = 12;

/// Runs `body(0)`, `body(1)`, ... in threads of their own that begin together. What one throws
/// ends the test.
void run_together(const std::function<void(int)>& body) {
  std::barrier start(thread_count);
  std::vector<std::string> errors(thread_count);
  std::vector<std::thread> threads;
  for (int i = 0; i < thread_count; i++)
    threads.emplace_back([&, i] {
      start.arrive_and_wait();
      errors[i] = error_of([&] { body(i); });
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(errors == std::vector<std::string>(thread_count, "nothing"));
}

/// A small call; odd ones have another problem.
ForwardCase case_of(int i) {
  const std::string mask = i % 2 == 0 ? "k <= q" : "k <= q && k > q - 9";
  return {.problem = {.dtype = DType::f32, .head_dim = 16, .mask = Expr::parse(mask)},
          .shape = {.kv_heads = 2, .q_len = 40, .kv_len = 40}};
}

bool launches_right(const ForwardKernel& kernel, const ForwardCase& given) {
  const ForwardTensors tensors(given);
  kernel.launch(tensors.args());
  return check_accuracy(given, tensors, Arithmetic::float32).ok();
}

TEST_CASE("threads make the first Jits of a process at once, each its own") {
  std::atomic<int> right = 0;
  run_together([&](int i) {
    const Jit jit = Jit::create({.target = "cpu"});
    const ForwardCase given = case_of(i);
    right += launches_right(jit.forward(given.problem, given.shape), given);
  });
  CHECK(right == thread_count);
}

TEST_CASE("threads that ask one Jit for its first kernels get one for each problem") {
  const Jit jit = Jit::create({.target = "cpu"});
  std::vector<const Kernel*> forward(thread_count), backward(thread_count);
  std::atomic<int> right = 0;
  run_together([&](int i) {
    const ForwardCase given = case_of(i);
    const ForwardKernel& kernel = jit.forward(given.problem, given.shape);
    right += launches_right(kernel, given);
    forward[i] = &kernel;
    backward[i] = &jit.backward(given.problem, given.shape);
  });
  CHECK(right == thread_count);
  for (const auto& kernels : {forward, backward})
    CHECK(std::set(kernels.begin(), kernels.end()).size() == 2);
}

TEST_CASE("threads make the first calls in C at once, and errors are each thread's own") {
  std::atomic<int> right = 0;
  run_together([&](int i) {
    const streamattn_jit_options options = {.struct_size = sizeof options, .target = "cpu"};
    const std::string mask = "k <= q" + std::string(i + 1, '?');
    const streamattn_problem problem = {.struct_size = sizeof problem,
                                        .dtype = STREAMATTN_F32,
                                        .head_dim = 16,
                                        .mask = mask.c_str()};
    const streamattn_shape shape = {sizeof shape, 1, 1, 8, 8};
    streamattn_jit* jit = nullptr;
    const streamattn_kernel* kernel = nullptr;
    const bool creates = streamattn_jit_create(&options, &jit) == STREAMATTN_OK;
    const bool refuses = streamattn_forward_kernel(jit, &problem, &shape, &kernel) != STREAMATTN_OK;
    const std::string error = streamattn_last_error();
    right += creates && refuses && error.find(mask) != std::string::npos;
    streamattn_jit_destroy(jit);
  });
  CHECK(right == thread_count);
}

TEST_CASE("threads that tune on first use take one schedule for each problem, of several Jits") {
  const ScratchFolder folder;
  const auto table = folder.path() / "tuned.toml";
  const JitOptions options{.target = "cpu",
                           .tuner = tune_on_first_use({.budget_seconds = 1, .table = table})};
  const Jit shared = Jit::create(options);
  std::vector<std::string> schedules(thread_count);
  std::atomic<int> right = 0;
  run_together([&](int i) {
    const ForwardCase given = case_of(i);
    const Jit own = Jit::create(options);
    const ForwardKernel& kernel = (i < 6 ? shared : own).forward(given.problem, given.shape);
    right += launches_right(kernel, given);
    schedules[i] = kernel.schedule().describe();
  });
  CHECK(right == thread_count);
  for (int i = 2; i < thread_count; i++) CHECK(schedules[i] == schedules[i - 2]);
}

TEST_CASE("threads that make Jits of a GPU at once compile each kernel once") {
  if (!has_nvrtc()) SKIP_TEST("no NVRTC");
  REQUIRE(dlopen(FAKE_GPU, RTLD_NOW | RTLD_GLOBAL));  // nobody has called it yet
  const ScratchFolder folder;
  const Problem causal_one{.head_dim = 64, .mask = causal()}, plain{.head_dim = 64};
  const Shape shape{.batch = 1, .kv_heads = 4, .q_len = 128, .kv_len = 128};
  std::atomic<int> compiled = 0;
  run_together([&](int i) {
    const Jit jit = Jit::create({.cache_dir = folder.path()});
    compiled += !jit.forward(i % 2 == 0 ? causal_one : plain, shape).from_cache();
  });
  CHECK(compiled == 2);
}

}  // namespace
}  // namespace streamattn

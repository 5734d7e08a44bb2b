// Launching on a GPU: graphs, streams, threads, devices and the disk cache.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <random>
#include <thread>

#include "runtime/gpu/device.h"
#include "tests/gpu/gpu_case.h"
#include "tests/support/catch.h"
#include "tests/support/skip.h"

using namespace streamattn;

#define NEEDS_GPU() \
  if (auto reason = no_gpu_reason(); !reason.empty()) SKIP_TEST(reason)

namespace {

const Problem problem{.head_dim = 128, .mask = causal()};
constexpr std::int64_t heads = 24, length = 700, dim = 128;
constexpr Shape shape{.batch = 1, .kv_heads = heads, .q_len = length, .kv_len = length};

// Random inputs and a poisoned output on the device.
struct Call {
  explicit Call(std::uint64_t seed = 1)
      : q(random(4 * seed)), k(random(4 * seed + 1)), v(random(4 * seed + 2)), o(poison()) {}

  static std::vector<char> random(std::uint64_t seed) {
    std::vector<char> memory(heads * length * dim * 2);
    fill_random(memory.data(), DType::bf16, heads * length * dim, seed);
    return memory;
  }
  static std::vector<char> poison() { return std::vector<char>(heads * length * dim * 2, '\xFF'); }

  ForwardArgs args() const {
    auto view = [](const DeviceBuffer& b) {
      return Tensor::bshd(b.data(), DType::bf16, 1, length, heads, dim);
    };
    return {.q = view(q), .k = view(k), .v = view(v), .o = view(o)};
  }

  DeviceBuffer q, k, v, o;
};

std::vector<char> run_once(const ForwardKernel& kernel, std::uint64_t seed) {
  Call call(seed);
  kernel.launch(call.args());
  return call.o.read();
}

CUstream new_stream() {
  CUstream stream = nullptr;
  check(driver().cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
  return stream;
}

}  // namespace

TEST_CASE("a captured launch replays, and beside others on other streams") {
  NEEDS_GPU();
  const ForwardKernel& kernel = gpu_jit().forward(problem, shape);
  ContextScope scope(GpuDevice::get().context());
  Call captured(1), eager(2);
  CUstream stream = new_stream(), other = new_stream();
  CUgraph graph = nullptr;
  CUgraphExec exec = nullptr;
  check(driver().cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL), "begin capture");
  kernel.launch(captured.args(), stream);
  kernel.launch(captured.args(), stream);
  check(driver().cuStreamEndCapture(stream, &graph), "end capture");
  CHECK(captured.o.read() == Call::poison());
  check(driver().cuGraphInstantiateWithFlags(&exec, graph, 0), "instantiate");
  for (int i = 0; i < 20; i++) {
    check(driver().cuGraphLaunch(exec, stream), "launch");
    kernel.launch(eager.args(), other);
  }
  CHECK(captured.o.read() == run_once(kernel, 1));
  CHECK(eager.o.read() == run_once(kernel, 2));
  check(driver().cuGraphExecDestroy(exec), "destroy");
  check(driver().cuGraphDestroy(graph), "destroy");
}

TEST_CASE("launches of one kernel on many streams do not disturb each other") {
  NEEDS_GPU();
  const ForwardKernel& kernel = gpu_jit().forward(problem, shape);
  ContextScope scope(GpuDevice::get().context());
  std::vector<std::unique_ptr<Call>> calls;
  std::vector<CUstream> streams;
  for (std::uint64_t i = 0; i < 6; i++) {
    calls.push_back(std::make_unique<Call>(i));
    streams.push_back(new_stream());
  }
  for (int round = 0; round < 30; round++)
    for (std::size_t i = 0; i < calls.size(); i++) {
      ForwardArgs args = calls[i]->args();
      args.max_sms = 20;  // so that they really run side by side
      kernel.launch(args, streams[i]);
    }
  for (std::uint64_t i = 0; i < calls.size(); i++) CHECK(calls[i]->o.read() == run_once(kernel, i));
}

TEST_CASE("threads that ask for one kernel at once get the same one") {
  NEEDS_GPU();
  Jit jit = Jit::create({.cache_mode = JitOptions::CacheMode::off});
  std::vector<const Kernel*> found(8);
  std::vector<std::thread> threads;
  for (auto& kernel : found)
    threads.emplace_back([&] { kernel = &jit.forward({.head_dim = 64}, shape); });
  for (std::thread& thread : threads) thread.join();
  for (const Kernel* kernel : found) CHECK(kernel == found.front());
}

TEST_CASE("a kernel from the disk cache gives the same bits") {
  NEEDS_GPU();
  auto dir = std::filesystem::temp_directory_path() /
             ("streamattn-gpu-test-" + std::to_string(std::random_device()()));
  JitOptions options{.cache_mode = JitOptions::CacheMode::read_write, .cache_dir = dir};
  Jit first = Jit::create(options), second = Jit::create(options);
  const ForwardKernel& compiled = first.forward(problem, shape);
  const ForwardKernel& cached = second.forward(problem, shape);
  CHECK_FALSE(compiled.from_cache());
  CHECK(cached.from_cache());
  CHECK(cached.resources()[0].resources.registers == compiled.resources()[0].resources.registers);
  CHECK(run_once(cached, 3) == run_once(compiled, 3));
  std::filesystem::remove_all(dir);
}

TEST_CASE("every device of the machine computes, and an unknown one is refused") {
  NEEDS_GPU();
  int count = 0;
  check(driver().cuDeviceGetCount(&count), "cuDeviceGetCount");
  CHECK_THROWS_WITH(Jit::create({.device = count}),
                    contains_text("there is no CUDA device " + std::to_string(count)));
  std::vector<char> expected = run_once(gpu_jit().forward(problem, shape), 4);
  for (int i = 0; i < count; i++) {
    Jit jit = Jit::create({.device = i, .cache_mode = JitOptions::CacheMode::off});
    CHECK(jit.device() == i);
    const ForwardKernel& kernel = jit.forward(problem, shape);
    ContextScope scope(GpuDevice::get(i).context());  // memory below is this device's
    CHECK(run_once(kernel, 4) == expected);
  }
}

TEST_CASE("a misaligned or mismatched tensor is refused by name and nothing is launched") {
  NEEDS_GPU();
  const ForwardKernel& kernel = gpu_jit().forward(problem, shape);
  Call call;
  ForwardArgs args = call.args();
  args.k.data = static_cast<char*>(args.k.data) + 2;
  CHECK_THROWS_WITH(kernel.launch(args), contains_text("k: data is at"));
  args = call.args();
  args.v.dim = 64;
  CHECK_THROWS_WITH(kernel.launch(args), contains_text("v: dim is 64"));
  CHECK(call.o.read() == Call::poison());
}

TEST_CASE("inputs may be broadcast over heads by a stride of zero") {
  NEEDS_GPU();
  const ForwardKernel& kernel = gpu_jit().forward(problem, shape);
  Call call(5), copied(5);
  ForwardArgs broadcast = call.args();
  broadcast.k.head_stride = broadcast.v.head_stride = 0;  // head 0 for all
  kernel.launch(broadcast);

  std::vector<char> k = copied.k.read(), v = copied.v.read();
  for (auto* memory : {&k, &v})
    for (std::int64_t row = 0; row < length; row++)
      for (std::int64_t head = 1; head < heads; head++)
        std::copy_n(memory->data() + row * heads * dim * 2, dim * 2,
                    memory->data() + (row * heads + head) * dim * 2);
  DeviceBuffer k_copies(k), v_copies(v);
  ForwardArgs args = copied.args();
  args.k.data = k_copies.data();
  args.v.data = v_copies.data();
  kernel.launch(args);
  CHECK(call.o.read() == copied.o.read());
}

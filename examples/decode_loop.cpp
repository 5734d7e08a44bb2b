// The inner loop of an inference engine: a small page allocator, and for every step a launch that
// appends the new token of each sequence to a paged cache, turned by its position, and one that
// attends to it. Every step is checked against float64. On a GPU the two launches are captured once
// and replayed while lengths, tables and tokens change in device memory; the CPU just runs them.
#include <streamattn/jit.h>

#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <iostream>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

using namespace streamattn;

namespace {

constexpr int batch = 3, heads = 8, kv_heads = 2, head_dim = 64, page_size = 16, steps = 64;
constexpr int pages_of_sequence = 8, pages = batch * pages_of_sequence;
constexpr int prompts[batch] = {1, 37,
                                16};  // tokens in the cache beforehand, of which none is seen
constexpr double theta = 10000;

using Bf16 = std::uint16_t;

float to_float(Bf16 bits) {
  const std::uint32_t word = std::uint32_t{bits} << 16;
  float value;
  std::memcpy(&value, &word, sizeof(value));
  return value;
}

Bf16 to_bf16(float value) {
  std::uint32_t word;
  std::memcpy(&word, &value, sizeof(word));
  return static_cast<Bf16>((word + 0x7FFF + (word >> 16 & 1)) >> 16);
}

/// Hands out pages in any order.
class PageAllocator {
 public:
  PageAllocator() : free_(pages) {
    std::iota(free_.begin(), free_.end(), 0);
    std::ranges::shuffle(free_, std::mt19937(7));
  }

  std::int32_t take() {
    const std::int32_t page = free_.back();
    free_.pop_back();
    return page;
  }

 private:
  std::vector<std::int32_t> free_;
};

/// Memory that kernels reach, and a way to launch the same step many times.
class Machine {
 public:
  virtual ~Machine() = default;
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void upload(void* to, const void* from, std::size_t bytes) = 0;
  virtual void download(void* to, const void* from, std::size_t bytes) = 0;
  /// Runs `step` and waits; later calls may replay what the first one enqueued.
  virtual void run(const std::function<void(Stream)>& step) = 0;
};

class Host final : public Machine {
 public:
  void* allocate(std::size_t bytes) override {
    void* memory = ::operator new(bytes, std::align_val_t{256});
    allocations_.push_back(memory);
    return memory;
  }
  ~Host() override {
    for (void* memory : allocations_) ::operator delete(memory, std::align_val_t{256});
  }
  void upload(void* to, const void* from, std::size_t bytes) override {
    std::memcpy(to, from, bytes);
  }
  void download(void* to, const void* from, std::size_t bytes) override {
    std::memcpy(to, from, bytes);
  }
  void run(const std::function<void(Stream)>& step) override { step(nullptr); }

 private:
  std::vector<void*> allocations_;
};

/// A CUDA device by way of the driver. What is allocated lives as long as the process.
class CudaDevice final : public Machine {
 public:
  explicit CudaDevice(int ordinal) {
    int device = 0;
    void* context = nullptr;
    call("cuInit", 0U);
    call("cuDeviceGet", &device, ordinal);
    call("cuDevicePrimaryCtxRetain", &context, device);
    call("cuCtxSetCurrent", context);
    call("cuStreamCreate", &stream_, /*CU_STREAM_NON_BLOCKING*/ 1U);
  }

  void* allocate(std::size_t bytes) override {
    void* memory = nullptr;
    call("cuMemAlloc_v2", &memory, std::max<std::size_t>(bytes, 1));
    return memory;
  }
  void upload(void* to, const void* from, std::size_t bytes) override {
    call("cuMemcpyHtoD_v2", to, from, bytes);
  }
  void download(void* to, const void* from, std::size_t bytes) override {
    call("cuMemcpyDtoH_v2", to, from, bytes);
  }
  void run(const std::function<void(Stream)>& step) override {
    if (graph_ == nullptr) {
      void* captured = nullptr;
      call("cuStreamBeginCapture_v2", stream_, /*CU_STREAM_CAPTURE_MODE_THREAD_LOCAL*/ 1);
      step(stream_);
      call("cuStreamEndCapture", stream_, &captured);
      call("cuGraphInstantiateWithFlags", &graph_, captured, 0ULL);
    }
    call("cuGraphLaunch", graph_, stream_);
    call("cuStreamSynchronize", stream_);
  }

 private:
  template <class... Arguments>
  void call(const char* name, Arguments... arguments) {
    auto* entry = reinterpret_cast<int (*)(Arguments...)>(dlsym(library_, name));
    const int result = entry != nullptr ? entry(arguments...) : -1;
    if (result != 0)
      throw Error(ErrorCode::launch_failed, std::string(name) + " gave " + std::to_string(result));
  }

  void* library_ = dlopen("libcuda.so.1", RTLD_NOW);
  void* stream_ = nullptr;
  void* graph_ = nullptr;
};

/// An array on both sides.
template <class T>
struct Array {
  Array(Machine& machine, std::size_t count)
      : host(count), device(static_cast<T*>(machine.allocate(count * sizeof(T)))) {
    upload(machine);
  }
  void upload(Machine& machine) { machine.upload(device, host.data(), host.size() * sizeof(T)); }
  void download(Machine& machine) {
    machine.download(host.data(), device, host.size() * sizeof(T));
  }

  std::vector<T> host;
  T* device;
};

/// Row `head` of token `row`, turned as Rope says.
std::vector<double> turned(const std::vector<Bf16>& rows, std::int64_t row, std::int64_t position) {
  std::vector<double> x(head_dim);
  for (int i = 0; i < head_dim / 2; ++i) {
    const double angle = static_cast<double>(position) * std::pow(theta, -2.0 * i / head_dim);
    const double a = to_float(rows[row * head_dim + i]);
    const double b = to_float(rows[row * head_dim + i + head_dim / 2]);
    x[i] = a * std::cos(angle) - b * std::sin(angle);
    x[i + head_dim / 2] = b * std::cos(angle) + a * std::sin(angle);
  }
  return x;
}

/// What the cache should hold of one KV head: keys turned in float64, and values.
struct History {
  std::vector<std::vector<double>> keys, values;
};

/// Attention of one query to all of them.
std::vector<double> attend(const std::vector<double>& q, const History& seen) {
  std::vector<double> o(head_dim), scores;
  for (const auto& key : seen.keys)
    scores.push_back(std::inner_product(q.begin(), q.end(), key.begin(), 0.0) /
                     std::sqrt(static_cast<double>(head_dim)));
  const double largest = *std::ranges::max_element(scores);
  double sum = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const double weight = std::exp(scores[i] - largest);
    sum += weight;
    for (int d = 0; d < head_dim; ++d) o[d] += weight * seen.values[i][d];
  }
  for (double& x : o) x /= sum;
  return o;
}

void fill_normal(std::vector<Bf16>& values, std::mt19937& bits) {
  std::normal_distribution<float> distribution;
  for (Bf16& value : values) value = to_bf16(distribution(bits));
}

/// Decodes on the machine; returns the largest error of any step.
double decode(const Jit& jit, Machine& machine) {
  // What came before has been forgotten: a window hides it, so that the check starts with the loop.
  const Problem problem{.head_dim = head_dim,
                        .group_size = heads / kv_heads,
                        .mask = Expr::parse("k <= q && k >= start:i32[batch]"),
                        .kv_layout = SequenceLayout::paged};
  const Shape shape{
      .batch = batch, .kv_heads = kv_heads, .q_len = 1, .kv_len = pages_of_sequence * page_size};
  const AppendKernel& append = jit.append(problem, shape);
  const ForwardKernel& forward = jit.forward(problem, shape);

  Array<Bf16> q(machine, batch * heads * head_dim), o(machine, batch * heads * head_dim);
  Array<Bf16> new_k(machine, batch * kv_heads * head_dim), new_v(machine, new_k.host.size());
  Array<Bf16> cache(machine, std::size_t{2} * pages * page_size * kv_heads * head_dim);
  Array<std::int32_t> lens(machine, batch), table(machine, batch * pages_of_sequence);
  Array<std::int32_t> start(machine, batch);
  PageAllocator allocator;
  for (int b = 0; b < batch; ++b) {
    lens.host[b] = start.host[b] = prompts[b];
    for (int p = 0; p * page_size < prompts[b]; ++p)
      table.host[b * pages_of_sequence + p] = allocator.take();
  }
  start.upload(machine);

  // A page holds its keys and then its values.
  const auto half_pages = [&](int which) {
    Tensor view = Tensor::bshd(cache.device + which * page_size * kv_heads * head_dim, DType::bf16,
                               pages, page_size, kv_heads, head_dim);
    view.batch_stride *= 2;
    return view;
  };
  const Sequences sequences{
      .kv_lens = lens.device, .block_table = table.device, .pages = pages_of_sequence};
  const Tensor queries = Tensor::bshd(q.device, DType::bf16, batch, 1, heads, head_dim);
  const AppendArgs appended{
      .new_k = Tensor::bshd(new_k.device, DType::bf16, batch, 1, kv_heads, head_dim),
      .new_v = Tensor::bshd(new_v.device, DType::bf16, batch, 1, kv_heads, head_dim),
      .k = half_pages(0),
      .v = half_pages(1),
      .rope = {.style = RopeStyle::split_half, .theta = theta},
      .q = queries,
      .rotated_q = queries,
      .sequences = sequences};
  const TensorArg tensors[] = {TensorArg::dense("start", start.device, DType::i32, {batch})};
  ForwardArgs attended{.q = queries,
                       .k = appended.k,
                       .v = appended.v,
                       .o = Tensor::bshd(o.device, DType::bf16, batch, 1, heads, head_dim),
                       .tensors = tensors,
                       .sequences = sequences};
  const std::size_t scratch = forward.workspace_bytes(attended);
  attended.workspace = {machine.allocate(scratch), scratch};

  std::mt19937 bits(1);
  std::vector<History> histories(batch * kv_heads);
  double worst = 0;
  for (int step = 0; step < steps; ++step) {
    for (auto* rows : {&q, &new_k, &new_v}) {
      fill_normal(rows->host, bits);
      rows->upload(machine);
    }
    const std::vector<Bf16> given_q = q.host;
    for (int b = 0; b < batch; ++b) {
      const int row = lens.host[b]++;  // lengths count the new token
      if (row % page_size == 0)
        table.host[b * pages_of_sequence + row / page_size] = allocator.take();
      for (int h = 0; h < kv_heads; ++h) {
        History& history = histories[b * kv_heads + h];
        history.keys.push_back(turned(new_k.host, b * kv_heads + h, row));
        auto& value = history.values.emplace_back(head_dim);
        for (int d = 0; d < head_dim; ++d)
          value[d] = to_float(new_v.host[(b * kv_heads + h) * head_dim + d]);
      }
    }
    lens.upload(machine);
    table.upload(machine);

    machine.run([&](Stream stream) {
      append.launch(appended, stream);
      forward.launch(attended, stream);
    });

    o.download(machine);
    for (int b = 0; b < batch; ++b)
      for (int h = 0; h < heads; ++h) {
        const std::vector<double> exact = attend(turned(given_q, b * heads + h, lens.host[b] - 1),
                                                 histories[b * kv_heads + h / (heads / kv_heads)]);
        for (int d = 0; d < head_dim; ++d)
          worst = std::max(worst,
                           std::abs(to_float(o.host[(b * heads + h) * head_dim + d]) - exact[d]));
      }
  }
  std::cout << append.describe() << "\n\n" << forward.describe() << "\n\n";
  return worst;
}

}  // namespace

int main(int argc, char** argv) try {
  JitOptions options{.cpu_fallback = true};
  if (argc > 1) options.target = argv[1];  // "cpu"
  const Jit jit = Jit::create(options);
  const bool on_gpu = jit.device() >= 0;
  const auto machine = on_gpu ? std::unique_ptr<Machine>(std::make_unique<CudaDevice>(jit.device()))
                              : std::make_unique<Host>();
  const double error = decode(jit, *machine);
  std::cout << steps << " steps" << (on_gpu ? " by replaying a graph" : "")
            << ", the largest error is " << error << "\n";
  // bf16 has 8 bits: K and Q are rounded after they are turned, O and P when they are done.
  if (!(error < 0.05)) {
    std::cerr << "that is more than rounding to bf16 explains\n";
    return 1;
  }
  return 0;
} catch (const Error& error) {
  std::cerr << name(error.code()) << ": " << error.what() << "\n";
  return 1;
}

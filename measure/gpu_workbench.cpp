// A CUDA device as a workbench.
#include <algorithm>
#include <bit>
#include <utility>

#include "measure/workbench.h"
#include "runtime/gpu/driver.h"

namespace streamattn {
namespace {

constexpr std::size_t flush_bytes = std::size_t{256} << 20;  // several times any L2

CUdeviceptr address(const void* pointer) { return reinterpret_cast<CUdeviceptr>(pointer); }

/// The primary context of a device, current while this lives.
class CurrentContext {
 public:
  explicit CurrentContext(int ordinal) {
    check(driver().cuDeviceGet(&device_, ordinal), "looking up the device");
    CUcontext context = nullptr;
    check(driver().cuDevicePrimaryCtxRetain(&context, device_), "opening the device");
    check(driver().cuCtxPushCurrent(context), "making the device current");
  }
  CurrentContext(const CurrentContext&) = delete;
  CurrentContext& operator=(const CurrentContext&) = delete;
  ~CurrentContext() {
    CUcontext context = nullptr;
    driver().cuCtxPopCurrent(&context);
    driver().cuDevicePrimaryCtxRelease(device_);
  }

  CUdevice device() const { return device_; }

 private:
  CUdevice device_ = 0;
};

class Event {
 public:
  Event() { check(driver().cuEventCreate(&event_, CU_EVENT_DEFAULT), "creating an event"); }
  Event(Event&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
  ~Event() {
    if (event_) driver().cuEventDestroy(event_);
  }

  void record() const { check(driver().cuEventRecord(event_, nullptr), "recording an event"); }

  double milliseconds_since(const Event& begin) const {
    float milliseconds = 0;
    check(driver().cuEventElapsedTime(&milliseconds, begin.event_, event_), "reading an event");
    return milliseconds;
  }

 private:
  CUevent event_ = nullptr;
};

/// A call in a CUDA graph.
class Graph {
 public:
  explicit Graph(const Enqueue& enqueue) {
    CUstream stream = nullptr;  // the default one cannot be captured
    check(driver().cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING), "creating a stream");
    CUgraph graph = nullptr;
    try {
      check(driver().cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED), "capturing");
      enqueue(stream);
      check(driver().cuStreamEndCapture(stream, &graph), "capturing");
      check(driver().cuGraphInstantiateWithFlags(&exec_, graph, 0), "making a graph");
    } catch (...) {
      end(stream, graph);
      throw;
    }
    end(stream, graph);
  }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  ~Graph() { driver().cuGraphExecDestroy(exec_); }

  void launch(CUstream stream) const {
    check(driver().cuGraphLaunch(exec_, stream), "replaying a graph");
  }

 private:
  static void end(CUstream stream, CUgraph graph) {
    if (graph) driver().cuGraphDestroy(graph);
    driver().cuStreamDestroy(stream);
  }

  CUgraphExec exec_ = nullptr;
};

/// Works on the default stream throughout.
class GpuWorkbench final : public Workbench {
 public:
  GpuWorkbench(int ordinal, const TimingPolicy& policy) : context_(ordinal), policy_(policy) {}

  std::string name() const override {
    char text[256] = {};
    check(driver().cuDeviceGetName(text, sizeof text - 1, context_.device()), "naming the device");
    return text;
  }

  Memory allocate(std::size_t bytes) override {
    CUdeviceptr memory = 0;
    const std::size_t some = bytes == 0 ? 1 : bytes;  // the driver refuses empty allocations
    check(driver().cuMemAlloc(&memory, some), "allocating device memory");
    return Memory(std::bit_cast<void*>(memory),
                  [](void* pointer) { driver().cuMemFree(address(pointer)); });
  }

  void upload(void* to, const void* from, std::size_t bytes) override {
    if (bytes == 0) return;  // an empty tensor may have no memory
    check(driver().cuMemcpyHtoD(address(to), from, bytes), "copying to the device");
  }

  void download(void* to, const void* from, std::size_t bytes) override {
    if (bytes == 0) return;
    check(driver().cuMemcpyDtoH(to, address(from), bytes), "copying from the device");
  }

  void fill(void* to, unsigned char value, std::size_t bytes) override {
    if (bytes == 0) return;
    check(driver().cuMemsetD8Async(address(to), value, bytes, nullptr), "filling device memory");
  }

  void run(const Enqueue& enqueue) override {
    enqueue(nullptr);
    check(driver().cuCtxSynchronize(), "running a kernel");
  }

  TimingPolicy policy() const override { return policy_; }

  Enqueue prepared(const Enqueue& enqueue) override {
    if (policy_.launch == LaunchMode::eager) return enqueue;
    // The graph has the addresses of what the call keeps alive.
    return [graph = std::make_shared<Graph>(enqueue), enqueue](Stream stream) {
      graph->launch(static_cast<CUstream>(stream));
    };
  }

  std::vector<double> time(const Enqueue& enqueue, int runs) override {
    const bool is_cold = policy_.l2 == CacheState::cold;
    begins_.resize(std::max<std::size_t>(begins_.size(), runs));
    ends_.resize(begins_.size());
    if (is_cold && !flush_) flush_ = allocate(flush_bytes);
    if (!is_cold) enqueue(nullptr);
    for (int i = 0; i < runs; ++i) {
      if (is_cold) fill(flush_.get(), 0, flush_bytes);
      begins_[i].record();
      enqueue(nullptr);
      ends_[i].record();
    }
    check(driver().cuCtxSynchronize(), "running a kernel");
    std::vector<double> milliseconds;
    for (int i = 0; i < runs; ++i) {
      milliseconds.push_back(ends_[i].milliseconds_since(begins_[i]));
    }
    return milliseconds;
  }

  // Writing 256 MB at about 3.5 TB/s.
  double overhead_milliseconds() const override {
    return policy_.l2 == CacheState::cold ? 0.08 : 0;
  }

 private:
  CurrentContext context_;  // first: everything below lives in it
  const TimingPolicy policy_;
  Memory flush_;  // empty until something is timed
  std::vector<Event> begins_, ends_;
};

}  // namespace

std::unique_ptr<Workbench> gpu_workbench(int ordinal, const TimingPolicy& policy) {
  return std::make_unique<GpuWorkbench>(ordinal, policy);
}

}  // namespace streamattn

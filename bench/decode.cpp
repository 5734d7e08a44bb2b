// Decode on a GPU: ragged batches checked against float64, then a table of times by graph replay.
//
//   decode [check|time|sweep [row]...]
//
// check goes through clusters of every size; sweep through them and numbers of blocks. Rows are
// numbers from 1 on; all without any.
//
// A row's graph launches the kernel on as many caches, one after the other, as are together four
// times the L2: every launch finds its keys in memory alone. A time is that of a replay, divided by
// the launches in it, so it has the gap between two kernels of a graph in it, or what an early
// start leaves of it, and no host.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "measure/accuracy.h"
#include "measure/operands.h"
#include "runtime/gpu/device.h"
#include "streamattn/compiler.h"
#include "streamattn/error.h"
#include "streamattn/jit.h"

using namespace streamattn;

namespace {

constexpr SequenceLayout dense = SequenceLayout::dense, packed = SequenceLayout::packed,
                         paged = SequenceLayout::paged;

/// A call that is timed.
struct Row {
  std::int64_t heads, kv_heads;
  int head_dim;
  std::int64_t batch, kv_len, q_len = 1;
  std::int64_t page_size = 0;  ///< 0: dense
  double peer = 0;             ///< best of the peers on an H200, in microseconds; 0: not known
};

constexpr Row rows[] = {
    {64, 8, 128, 1, 2048, 1, 0, 6.4},     {64, 8, 128, 1, 8192, 1, 0, 14.6},
    {64, 8, 128, 1, 32768, 1, 0, 41.2},   {64, 8, 128, 1, 131072, 1, 0, 131},
    {8, 8, 128, 1, 4096, 1, 0, 11.7},     {16, 2, 128, 1, 2048, 1, 0, 4.5},
    {32, 2, 256, 1, 8192, 1, 0, 10.4},    {64, 8, 64, 1, 8192, 1, 0, 11.0},
    {32, 8, 128, 8, 4096, 1, 0, 43.6},    {32, 8, 128, 64, 4096, 1, 0, 247},
    {32, 8, 128, 64, 16384, 1, 0, 949},   {32, 2, 256, 64, 8192, 1, 0, 260},
    {32, 8, 128, 256, 2048, 1, 0, 478},   {64, 8, 128, 1, 32768, 2, 0, 50.4},
    {64, 8, 128, 1, 32768, 4, 0, 51.3},   {64, 8, 128, 16, 8192, 4, 0, 139.4},
    {64, 8, 128, 1, 8192, 1, 16, 22.0},   {64, 8, 128, 1, 32768, 1, 16, 50.6},
    {32, 8, 128, 64, 4096, 1, 16, 273.1}, {32, 8, 128, 64, 4096, 1, 64, 0},
    {64, 8, 128, 1, 8192, 1, 1, 0},       {32, 8, 128, 64, 4096, 1, 1, 0},
};

Problem problem_of(const Row& row) {
  return {.head_dim = row.head_dim,
          .group_size = static_cast<int>(row.heads / row.kv_heads),
          .mask = causal(),
          .kv_layout = row.page_size > 0 ? paged : dense};
}

// ---- Correctness

/// Runs a case and says whether it is right.
bool check_case(const ForwardKernel& kernel, Workbench& bench, const ForwardCase& given) {
  ForwardTensors tensors(given);
  run_once(kernel, tensors, bench);
  const Accuracy accuracy = check_accuracy(given, tensors, Arithmetic::gpu);
  std::printf("%s %s: error %.2e of %.2e, LSE %.2e of %.2e, %lld NaN rows, untouched %d\n    %s\n",
              accuracy.ok() ? "ok   " : "WRONG", kernel.schedule().describe().c_str(),
              accuracy.errors.o, accuracy.errors.o_allowed, accuracy.errors.lse,
              accuracy.errors.lse_allowed, static_cast<long long>(accuracy.nan_rows),
              accuracy.untouched, given.describe().c_str());
  return accuracy.ok();
}

/// The same schedule in clusters of so many blocks, with two stages; none where there is no room.
std::optional<Schedule> in_clusters(const Jit& jit, const Problem& problem, Schedule schedule,
                                    std::int64_t cluster) {
  if (schedule.family() != "decode_wgmma") return {};
  schedule.set("stages", std::int64_t{2});
  schedule.set("cluster", cluster);
  try {
    check(Operation::forward, problem, schedule, jit.target());
    return schedule;
  } catch (const Error&) {
    return {};
  }
}

/// The same with the chosen schedule and in clusters of every size.
bool check_schedules(const Jit& jit, Workbench& bench, const ForwardCase& given) {
  const ForwardKernel& kernel = jit.forward(given.problem, given.shape);
  bool ok = check_case(kernel, bench, given);
  for (const std::int64_t cluster : {2, 4, 8, 16})
    if (const auto schedule = in_clusters(jit, given.problem, kernel.schedule(), cluster))
      ok = check_case(jit.forward(given.problem, *schedule), bench, given) && ok;
  return ok;
}

/// Layouts, masks, scores and lengths: zero, one, off a tile, long beside short.
std::vector<ForwardCase> cases() {
  const Expr streaming = causal() && (sliding_window(100) || sinks(4));
  const Expr alibi_score = Expr::parse("score - 0.125 * (q - k)", ExprRole::score);
  std::vector<Problem> problems = {
      {.group_size = 8, .mask = causal()},
      {.group_size = 8, .mask = causal(), .kv_layout = paged},
      {.group_size = 5, .mask = causal(), .q_layout = packed, .kv_layout = packed},
      {.dtype = DType::f16, .head_dim = 64, .mask = causal(), .q_lens = true, .kv_lens = true},
      {.out_dtype = DType::f32, .head_dim = 256, .group_size = 16, .kv_lens = true},
      {.head_dim = 80, .value_head_dim = 64, .group_size = 12, .mask = causal()},
      {.group_size = 4, .mask = streaming, .kv_layout = paged},
      {.group_size = 4, .mask = causal(), .score = alibi_score, .kv_lens = true},
      {.group_size = 8, .mask = causal(), .q_layout = packed, .kv_layout = paged}};
  const std::vector<std::int64_t> lengths = {0, 1, 17, 63, 64, 65, 700, 4097, 1000};
  std::vector<ForwardCase> list;
  std::uint64_t seed = 0;
  for (const Problem& problem : problems) {
    for (const std::int64_t q_len : {1, 4}) {
      for (const std::int64_t page_size : {1, 4, 8, 16, 64}) {
        if (problem.kv_layout != paged && page_size != 16) continue;
        ForwardCase given{.problem = problem,
                          .shape = {.batch = static_cast<std::int64_t>(lengths.size()),
                                    .kv_heads = 2,
                                    .q_len = q_len,
                                    .kv_len = 4097},
                          .seed = ++seed};
        given.lengths.page_size = page_size;
        if (problem.has_kv_lens() || problem.kv_layout != dense) given.lengths.kv = lengths;
        if (problem.q_lens || problem.q_layout != dense) {
          given.lengths.q.assign(lengths.size(), q_len);
          given.lengths.q[3] = 0;
        }
        list.push_back(given);
        given.shape.batch = 1;  // many blocks for few heads
        if (!given.lengths.kv.empty()) given.lengths.kv = {4097};
        if (!given.lengths.q.empty()) given.lengths.q = {q_len};
        given.distribution = Distribution::outliers;
        list.push_back(given);
      }
    }
  }
  return list;
}

// ---- Times

/// Caches that hold the same random keys over and over, and what a launch needs beside them.
class Caches {
 public:
  Caches(const Row& row, Workbench& bench) : row_(row), bench_(bench) {
    const std::int64_t tokens = row.batch * row.kv_len;
    side_bytes_ = static_cast<std::size_t>(tokens * row.kv_heads * row.head_dim) * 2;
    const std::int64_t l2 = GpuDevice::get().l2_bytes();
    count_ = std::clamp<std::int64_t>(4 * l2 / static_cast<std::int64_t>(2 * side_bytes_), 1, 64);
    memory_ = filled(2 * side_bytes_ * static_cast<std::size_t>(count_));
    const auto q_bytes =
        static_cast<std::size_t>(row.batch * row.q_len * row.heads * row.head_dim * 2);
    q_ = filled(q_bytes);
    o_ = bench.allocate(q_bytes);
    const std::vector<std::int32_t> lens(static_cast<std::size_t>(row.batch),
                                         static_cast<std::int32_t>(row.kv_len));
    lens_ = uploaded(lens);
    if (row.page_size > 0) make_table();
  }

  std::int64_t count() const { return count_; }
  double bytes() const { return 2.0 * static_cast<double>(side_bytes_); }

  /// The call on cache `index`.
  ForwardArgs args(std::int64_t index) const {
    auto* first = static_cast<char*>(memory_.get()) + 2 * side_bytes_ * index;
    const auto keys = [&](void* data) {
      return row_.page_size > 0 ? Tensor::bshd(data, DType::bf16, row_.batch * pages(),
                                               row_.page_size, row_.kv_heads, row_.head_dim)
                                : Tensor::bshd(data, DType::bf16, row_.batch, row_.kv_len,
                                               row_.kv_heads, row_.head_dim);
    };
    const auto queries = [&](const Memory& memory) {
      return Tensor::bshd(memory.get(), DType::bf16, row_.batch, row_.q_len, row_.heads,
                          row_.head_dim);
    };
    ForwardArgs args{
        .q = queries(q_), .k = keys(first), .v = keys(first + side_bytes_), .o = queries(o_)};
    if (row_.page_size > 0)
      args.sequences = {.kv_lens = static_cast<const std::int32_t*>(lens_.get()),
                        .block_table = static_cast<const std::int32_t*>(table_.get()),
                        .pages = pages()};
    return args;
  }

 private:
  std::int64_t pages() const { return row_.kv_len / row_.page_size; }

  Memory filled(std::size_t bytes) {
    constexpr std::int64_t block = 1 << 22;  // elements
    std::vector<std::uint16_t> random(block);
    fill_random(random.data(), DType::bf16, block, 1);
    Memory memory = bench_.allocate(bytes);
    for (std::size_t at = 0; at < bytes; at += block * 2)
      bench_.upload(static_cast<char*>(memory.get()) + at, random.data(),
                    std::min<std::size_t>(block * 2, bytes - at));
    return memory;
  }

  Memory uploaded(const std::vector<std::int32_t>& words) {
    Memory memory = bench_.allocate(words.size() * sizeof(std::int32_t));
    bench_.upload(memory.get(), words.data(), words.size() * sizeof(std::int32_t));
    return memory;
  }

  // Pages of a sequence lie far from each other.
  void make_table() {
    const std::int64_t all = row_.batch * pages();
    std::vector<std::int32_t> table(static_cast<std::size_t>(all));
    std::int64_t step = 7919;  // a prime: no divisor of powers of two
    for (std::int64_t i = 0; i < all; i++)
      table[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(i * step % all);
    table_ = uploaded(table);
  }

  Row row_;
  Workbench& bench_;
  std::size_t side_bytes_ = 0;
  std::int64_t count_ = 0;
  Memory memory_, q_, o_, lens_, table_;
};

/// A captured graph of launches.
class Graph {
 public:
  template <class Enqueues>
  explicit Graph(const Enqueues& enqueues) {
    check(driver().cuStreamCreate(&stream_, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
    check(driver().cuStreamBeginCapture(stream_, CU_STREAM_CAPTURE_MODE_RELAXED), "capture");
    enqueues(stream_);
    check(driver().cuStreamEndCapture(stream_, &graph_), "capture");
    check(driver().cuGraphInstantiateWithFlags(&exec_, graph_, 0), "instantiate");
    for (CUevent* event : {&begin_, &end_})
      check(driver().cuEventCreate(event, CU_EVENT_DEFAULT), "event");
  }
  Graph(const Graph&) = delete;
  ~Graph() {
    driver().cuGraphExecDestroy(exec_);
    driver().cuGraphDestroy(graph_);
    driver().cuStreamDestroy(stream_);
    driver().cuEventDestroy(begin_);
    driver().cuEventDestroy(end_);
  }

  /// Microseconds of a replay: the median of some.
  double microseconds() const {
    std::vector<float> times;
    for (int i = 0; i < 15; i++) {
      check(driver().cuEventRecord(begin_, stream_), "event");
      check(driver().cuGraphLaunch(exec_, stream_), "replay");
      check(driver().cuEventRecord(end_, stream_), "event");
      check(driver().cuStreamSynchronize(stream_), "replay");
      check(driver().cuEventElapsedTime(&times.emplace_back(), begin_, end_), "event");
    }
    std::sort(times.begin(), times.end());
    return 1e3 * times[times.size() / 2];
  }

 private:
  CUstream stream_ = nullptr;
  CUgraph graph_ = nullptr;
  CUgraphExec exec_ = nullptr;
  CUevent begin_ = nullptr, end_ = nullptr;
};

/// Microseconds of a launch with a schedule.
double time_of(const ForwardKernel& kernel, const Caches& caches, Workbench& bench) {
  std::vector<Enqueue> launches;
  for (std::int64_t i = 0; i < caches.count(); i++)
    launches.push_back(with_workspace(kernel, caches.args(i), bench));
  bench.run(launches.front());
  const std::int64_t least = caches.bytes() > 1e8 ? 8 : 32;  // launches of a replay
  const int repeats = static_cast<int>(std::max<std::int64_t>(least / caches.count(), 1));
  const Graph graph([&](CUstream stream) {
    for (int i = 0; i < repeats; i++)
      for (const Enqueue& launch : launches) launch(stream);
  });
  return graph.microseconds() / static_cast<double>(repeats * caches.count());
}

/// Equal pieces of every item, and as many as are resident: whole clusters.
std::vector<std::int64_t> blocks_to_try(const Row& row, std::int64_t cluster) {
  constexpr std::int64_t resident = 264;
  std::vector<std::int64_t> blocks = {resident / 2, resident};
  for (const std::int64_t pieces : {1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64})
    if (const std::int64_t all = row.batch * row.kv_heads * pieces; all <= resident)
      blocks.push_back(all);
  std::erase_if(blocks, [&](std::int64_t all) { return all % cluster != 0; });
  return blocks;
}

void time_row(const Jit& jit, Workbench& bench, const Row& row, bool sweeps) {
  const Problem problem = problem_of(row);
  const Shape shape{row.batch, row.kv_heads, row.q_len, row.kv_len};
  const Caches caches(row, bench);
  std::printf("%2lld/%lld d%d batch %lld x %lld q%lld page %lld |",
              static_cast<long long>(row.heads), static_cast<long long>(row.kv_heads), row.head_dim,
              static_cast<long long>(row.batch), static_cast<long long>(row.kv_len),
              static_cast<long long>(row.q_len), static_cast<long long>(row.page_size));
  const auto print = [&](const char* what, double time) {
    std::printf(" %s %.1f us (%.2f TB/s)", what, time, caches.bytes() / time * 1e-6);
  };
  const ForwardKernel& kernel = jit.forward(problem, shape);
  const double chosen = time_of(kernel, caches, bench);
  print("", chosen);
  if (Schedule late = kernel.schedule(); late.family() == "decode_wgmma") {
    late.set("early_start", false);
    print("without an early start", time_of(jit.forward(problem, late), caches, bench));
  }
  if (row.peer > 0) std::printf(" = %.2f of the best peer's %.1f", chosen / row.peer, row.peer);
  constexpr int most_schedules = 2;  // of a cluster size
  std::map<std::int64_t, int> tried;
  for (Schedule schedule : schedules(Operation::forward, problem, shape, jit.target())) {
    if (!sweeps || schedule.family() != "decode_wgmma") continue;
    const auto cluster = std::get<std::int64_t>(schedule.get("cluster"));
    if (++tried[cluster] > most_schedules) continue;
    for (const std::int64_t blocks : blocks_to_try(row, cluster)) {
      schedule.set("blocks", blocks);
      const double time = time_of(jit.forward(problem, schedule), caches, bench);
      std::printf("\n    %-70s", schedule.describe().c_str());
      print("", time);
    }
  }
  std::printf("\n");
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string what = argc > 1 ? argv[1] : "";
  const Jit jit = Jit::create();
  if (jit.target().is_cpu()) {
    std::fprintf(stderr, "decode: needs a GPU\n");
    return 2;
  }
  const auto bench = workbench_for(jit.device());
  std::printf("%s\n", bench->name().c_str());
  bool ok = true;
  if (what.empty() || what == "check")
    for (const ForwardCase& given : cases()) ok = check_schedules(jit, *bench, given) && ok;
  std::printf(ok ? "all right\n" : "SOME ARE WRONG\n");
  if (what != "check")
    for (int number = 1; number <= static_cast<int>(std::size(rows)); ++number)
      if (argc <= 2 || std::any_of(argv + 2, argv + argc,
                                   [&](const char* chosen) { return std::atoi(chosen) == number; }))
        time_row(jit, *bench, rows[number - 1], what == "sweep");
  return ok ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "decode: %s\n", error.what());
  return 1;
}

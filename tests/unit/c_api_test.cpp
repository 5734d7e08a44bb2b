// The C entry points on the CPU target: results, defaults and every status they can give here.
#include <unistd.h>

#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <vector>

#include "measure/accuracy.h"
#include "measure/random_inputs.h"
#include "streamattn/c_api.h"
#include "streamattn/jit.h"
#include "streamattn/masks.h"
#include "support/log.h"
#include "tests/support/catch.h"
#include "tests/support/forked.h"

extern "C" streamattn_status c89_create_on_cpu(streamattn_jit** jit);
extern "C" void c89_name(streamattn_forward_args* args, const streamattn_named_scalar* window,
                         streamattn_named_tensor* slope, const float* slopes, int heads);

namespace streamattn {
namespace {

/// A jit for the CPU that is destroyed at the end.
class CpuJit {
 public:
  CpuJit() { REQUIRE(c89_create_on_cpu(&jit_) == STREAMATTN_OK); }
  ~CpuJit() { streamattn_jit_destroy(jit_); }
  streamattn_jit* get() const { return jit_; }

 private:
  streamattn_jit* jit_ = nullptr;
};

constexpr int batch = 2, q_len = 17, kv_len = 29, heads = 6, kv_heads = 2, head_dim = 24;

streamattn_problem c_problem() {
  streamattn_problem problem = {};
  problem.struct_size = sizeof problem;
  problem.dtype = STREAMATTN_F32;
  problem.head_dim = head_dim;
  problem.group_size = heads / kv_heads;
  problem.mask = "k <= q";
  return problem;
}

streamattn_shape c_shape() { return {sizeof(streamattn_shape), batch, kv_heads, q_len, kv_len}; }

streamattn_tensor dense(std::vector<float>& data, int seq, int head_count, int dim) {
  return {data.data(),
          STREAMATTN_F32,
          batch,
          seq,
          head_count,
          dim,
          seq * head_count * dim,
          head_count * dim,
          dim};
}

struct Buffers {
  std::vector<float> q = std::vector<float>(batch * q_len * heads * head_dim);
  std::vector<float> k = std::vector<float>(batch * kv_len * kv_heads * head_dim);
  std::vector<float> v = k;
  std::vector<float> o = std::vector<float>(q.size(), NAN);
  std::vector<float> lse = std::vector<float>(batch * q_len * heads, NAN);

  Buffers() {
    fill_random(q.data(), DType::f32, q.size(), 1);
    fill_random(k.data(), DType::f32, k.size(), 2);
    fill_random(v.data(), DType::f32, v.size(), 3);
  }

  streamattn_forward_args args() {
    streamattn_forward_args args = {};
    args.struct_size = sizeof args;
    args.q = dense(q, q_len, heads, head_dim);
    args.k = dense(k, kv_len, kv_heads, head_dim);
    args.v = dense(v, kv_len, kv_heads, head_dim);
    args.o = dense(o, q_len, heads, head_dim);
    args.lse = dense(lse, q_len, heads, 1);
    return args;
  }

  ForwardArgs cpp_args() {
    return {.q = Tensor::bshd(q.data(), DType::f32, batch, q_len, heads, head_dim),
            .k = Tensor::bshd(k.data(), DType::f32, batch, kv_len, kv_heads, head_dim),
            .v = Tensor::bshd(v.data(), DType::f32, batch, kv_len, kv_heads, head_dim),
            .o = Tensor::bshd(o.data(), DType::f32, batch, q_len, heads, head_dim),
            .lse = Tensor::bshd(lse.data(), DType::f32, batch, q_len, heads, 1)};
  }
};

const streamattn_kernel* find_kernel(const CpuJit& jit) {
  const streamattn_problem problem = c_problem();
  const streamattn_shape shape = c_shape();
  const streamattn_kernel* kernel = nullptr;
  REQUIRE(streamattn_forward_kernel(jit.get(), &problem, &shape, &kernel) == STREAMATTN_OK);
  return kernel;
}

/// O and LSE of `buffers` against float64 for the arguments `args`.
void check_result(const ForwardArgs& args) {
  const Problem problem{
      .dtype = DType::f32, .head_dim = head_dim, .group_size = heads / kv_heads, .mask = causal()};
  const Errors errors = errors_of(problem, args, all_rows(args));
  CHECK(errors.o <= errors.o_allowed);
  CHECK(errors.lse <= errors.lse_allowed);
}

TEST_CASE("a problem stated in C is computed on the CPU as float64 says") {
  const CpuJit jit;
  Buffers buffers;
  const streamattn_forward_args args = buffers.args();
  REQUIRE(streamattn_launch_forward(find_kernel(jit), &args, nullptr) == STREAMATTN_OK);
  check_result(buffers.cpp_args());
}

TEST_CASE("gradients asked for in C are those of C++") {
  const CpuJit jit;
  streamattn_problem problem = c_problem();
  problem.score = "score + slope[head] * (k - q)";
  const streamattn_shape shape = c_shape();
  Buffers buffers, d;  // d holds gradients
  std::vector<float> slope = {-0.1F, -0.2F, -0.3F, 0.1F, 0.2F, 0.3F}, d_slope(heads, NAN);
  std::vector<float> d_o(buffers.o.size());
  fill_random(d_o.data(), DType::f32, static_cast<std::int64_t>(d_o.size()), 4);

  streamattn_named_tensor named = {};
  named.name = "slope", named.data = slope.data(), named.dtype = STREAMATTN_F32;
  named.rank = 1, named.sizes[0] = heads, named.strides[0] = 1;
  streamattn_forward_args forward = buffers.args();
  forward.tensors = &named, forward.tensor_count = 1;
  const streamattn_kernel *forward_kernel = nullptr, *kernel = nullptr;
  REQUIRE(streamattn_forward_kernel(jit.get(), &problem, &shape, &forward_kernel) == STREAMATTN_OK);
  REQUIRE(streamattn_launch_forward(forward_kernel, &forward, nullptr) == STREAMATTN_OK);

  const streamattn_named_gradient gradient = {"slope", d_slope.data(), {1}};
  streamattn_backward_args args = {};
  args.struct_size = sizeof args;
  args.q = forward.q, args.k = forward.k, args.v = forward.v;
  args.o = forward.o, args.lse = forward.lse;
  args.d_o = dense(d_o, q_len, heads, head_dim);
  args.d_q = dense(d.q, q_len, heads, head_dim);
  args.d_k = dense(d.k, kv_len, kv_heads, head_dim);
  args.d_v = dense(d.v, kv_len, kv_heads, head_dim);
  args.tensors = &named, args.tensor_count = 1;
  args.gradients = &gradient, args.gradient_count = 1;
  REQUIRE(streamattn_backward_kernel(jit.get(), &problem, &shape, &kernel) == STREAMATTN_OK);
  std::size_t bytes = 1;
  REQUIRE(streamattn_backward_workspace(kernel, &args, &bytes) == STREAMATTN_OK);
  CHECK(bytes == 0);
  REQUIRE(streamattn_launch_backward(kernel, &args, nullptr) == STREAMATTN_OK);

  const TensorArg tensors[] = {TensorArg::dense("slope", slope.data(), DType::f32, {heads})};
  std::vector<float> expected(heads, NAN);
  const TensorGradient gradients[] = {TensorGradient::dense(expected.data(), tensors[0])};
  Buffers cpp;
  const ForwardArgs in = buffers.cpp_args();
  const Jit cpp_jit = Jit::create({.target = "cpu"});
  const Problem same{.dtype = DType::f32,
                     .head_dim = head_dim,
                     .group_size = heads / kv_heads,
                     .mask = causal(),
                     .score = alibi()};
  cpp_jit.backward(same, Shape{batch, kv_heads, q_len, kv_len})
      .launch({.q = in.q,
               .k = in.k,
               .v = in.v,
               .o = in.o,
               .lse = in.lse,
               .d_o = Tensor::bshd(d_o.data(), DType::f32, batch, q_len, heads, head_dim),
               .d_q = Tensor::bshd(cpp.q.data(), DType::f32, batch, q_len, heads, head_dim),
               .d_k = Tensor::bshd(cpp.k.data(), DType::f32, batch, kv_len, kv_heads, head_dim),
               .d_v = Tensor::bshd(cpp.v.data(), DType::f32, batch, kv_len, kv_heads, head_dim),
               .gradients = gradients,
               .tensors = tensors});
  CHECK(d.q == cpp.q);
  CHECK(d.k == cpp.k);
  CHECK(d.v == cpp.v);
  CHECK(d_slope == expected);

  CHECK(streamattn_launch_forward(kernel, &forward, nullptr) == STREAMATTN_INVALID_ARGUMENT);
  CHECK(streamattn_last_error() ==
        std::string("kernel is one of backward, this function takes one of forward"));
  CHECK(streamattn_launch_backward(forward_kernel, &args, nullptr) == STREAMATTN_INVALID_ARGUMENT);
}

TEST_CASE("appends by way of C turn and place rows as those of C++ do") {
  const CpuJit jit;
  streamattn_problem problem = c_problem();
  problem.kv_lens = 1;
  const streamattn_shape shape = c_shape();
  const streamattn_kernel* kernel = nullptr;
  REQUIRE(streamattn_append_kernel(jit.get(), &problem, &shape, &kernel) == STREAMATTN_OK);

  Buffers from;
  std::vector<float> new_k(from.k.begin(), from.k.begin() + batch * q_len * kv_heads * head_dim);
  std::vector<float> new_v = new_k;
  struct Outputs {
    std::vector<float> k = std::vector<float>(batch * kv_len * kv_heads * head_dim, 7);
    std::vector<float> v = k;
    std::vector<float> q = std::vector<float>(batch * q_len * heads * head_dim, 7);
  } c, cpp;
  const std::int32_t lens[] = {29, 20};
  streamattn_append_args args = {};
  args.struct_size = sizeof args;
  args.new_k = dense(new_k, q_len, kv_heads, head_dim);
  args.new_v = dense(new_v, q_len, kv_heads, head_dim);
  args.k = dense(c.k, kv_len, kv_heads, head_dim);
  args.v = dense(c.v, kv_len, kv_heads, head_dim);
  args.q = dense(from.q, q_len, heads, head_dim);
  args.rotated_q = dense(c.q, q_len, heads, head_dim);
  args.rope_style = STREAMATTN_ROPE_SPLIT_HALF;
  args.rope_dim = 16;
  args.rope_theta = 500;
  args.rope_factor = 2;
  args.k_offset = 3;
  args.sequences.kv_lens = lens;
  REQUIRE(streamattn_launch_append(kernel, &args, nullptr) == STREAMATTN_OK);

  const Jit cpp_jit = Jit::create({.target = "cpu"});
  const Problem same{
      .dtype = DType::f32, .head_dim = head_dim, .group_size = heads / kv_heads, .kv_lens = true};
  const auto tensor = [](std::vector<float>& data, int seq, int head_count) {
    return Tensor::bshd(data.data(), DType::f32, batch, seq, head_count, head_dim);
  };
  cpp_jit.append(same, Shape{batch, kv_heads, q_len, kv_len})
      .launch({.new_k = tensor(new_k, q_len, kv_heads),
               .new_v = tensor(new_v, q_len, kv_heads),
               .k = tensor(cpp.k, kv_len, kv_heads),
               .v = tensor(cpp.v, kv_len, kv_heads),
               .rope = {.style = RopeStyle::split_half, .dim = 16, .theta = 500, .factor = 2},
               .q = tensor(from.q, q_len, heads),
               .rotated_q = tensor(cpp.q, q_len, heads),
               .k_offset = 3,
               .sequences = {.kv_lens = lens}});
  CHECK(c.k == cpp.k);
  CHECK(c.v == cpp.v);
  CHECK(c.q == cpp.q);
  CHECK(c.q != from.q);

  args.rope_style = 3;
  CHECK(streamattn_launch_append(kernel, &args, nullptr) == STREAMATTN_INVALID_ARGUMENT);
  CHECK(streamattn_last_error() ==
        std::string("rope_style is 3, needs one of streamattn_rope_style"));
}

TEST_CASE("merges by way of C add shares up") {
  const CpuJit jit;
  const streamattn_problem problem = c_problem();
  const streamattn_shape shape = c_shape();
  const streamattn_kernel* kernel = nullptr;
  REQUIRE(streamattn_merge_kernel(jit.get(), &problem, &shape, &kernel) == STREAMATTN_OK);
  const auto shares = [](std::vector<float>& data, int dim) {
    streamattn_tensor tensor = dense(data, q_len, heads, dim);
    tensor.batch = 2 * batch;
    return tensor;
  };
  constexpr int rows = batch * q_len * heads;
  std::vector<float> share_o(2 * rows * head_dim, 1), share_lse(2 * rows, 0), o(rows * head_dim);
  std::fill_n(share_o.begin(), rows * head_dim, 2.F);
  streamattn_merge_args args = {};
  args.struct_size = sizeof args;
  args.share_o = shares(share_o, head_dim);
  args.share_lse = shares(share_lse, 1);
  args.o = dense(o, q_len, heads, head_dim);
  REQUIRE(streamattn_launch_merge(kernel, &args, nullptr) == STREAMATTN_OK);
  CHECK(o == std::vector<float>(o.size(), 1.5F));

  std::vector<float> lse(rows);
  args.lse = dense(lse, q_len, heads, 1);
  REQUIRE(streamattn_launch_merge(kernel, &args, nullptr) == STREAMATTN_OK);
  CHECK(lse.back() == Approx(std::log(2)));
  CHECK(streamattn_launch_append(kernel, nullptr, nullptr) == STREAMATTN_INVALID_ARGUMENT);
  CHECK(streamattn_last_error() ==
        std::string("kernel is one of merge, this function takes one of append"));
}

TEST_CASE("scale, offsets and row ranges given in C reach the kernel") {
  const CpuJit jit;
  Buffers buffers;
  const float scale = 0.3F;
  const std::int64_t q_offset = 8;
  const streamattn_rows q_rows = {2, 15}, kv_rows = {1, 27};
  streamattn_forward_args args = buffers.args();
  args.scale = &scale;
  args.q_offset = &q_offset;
  args.k_offset = 3;
  args.q_rows = &q_rows;
  args.kv_rows = &kv_rows;
  args.max_sms = 1;
  REQUIRE(streamattn_launch_forward(find_kernel(jit), &args, nullptr) == STREAMATTN_OK);

  ForwardArgs expected = buffers.cpp_args();
  expected.scale = scale;
  expected.q_offset = q_offset;
  expected.k_offset = 3;
  expected.q_rows = Rows{2, 15};
  expected.kv_rows = Rows{1, 27};
  check_result(expected);
  CHECK(std::isnan(buffers.o.front()));  // row 0 is not in q_rows
}

TEST_CASE("scores, sinks, scalars and tensors given in C reach the kernel") {
  const CpuJit jit;
  streamattn_problem problem = c_problem();
  problem.mask = "k <= q && k > q - window";
  problem.score = "score + slope[head] * (k - q)";
  problem.sink = "slope[head]";
  const streamattn_shape shape = c_shape();
  const streamattn_kernel* kernel = nullptr;
  REQUIRE(streamattn_forward_kernel(jit.get(), &problem, &shape, &kernel) == STREAMATTN_OK);
  Buffers buffers;
  const std::vector<float> slopes = {0.5F, 0.25F, 0.125F, -0.1F, 0, 1};
  const streamattn_named_scalar window = {"window", 7};
  streamattn_named_tensor slope = {};
  streamattn_forward_args args = buffers.args();
  c89_name(&args, &window, &slope, slopes.data(), heads);
  REQUIRE(streamattn_launch_forward(kernel, &args, nullptr) == STREAMATTN_OK);

  const Problem expected{.dtype = DType::f32,
                         .head_dim = head_dim,
                         .group_size = heads / kv_heads,
                         .mask = causal() && sliding_window(6),
                         .score = alibi(),
                         .sink = TensorName("slope", DType::f32)(expr_names::head)};
  const TensorArg tensors[] = {TensorArg::dense("slope", slopes.data(), DType::f32, {heads})};
  ForwardArgs with_names = buffers.cpp_args();
  with_names.tensors = tensors;
  const Errors errors = errors_of(expected, with_names, all_rows(with_names));
  CHECK(errors.o <= errors.o_allowed);
  CHECK(errors.lse <= errors.lse_allowed);

  const auto fails = [&](const std::string& message) {
    CHECK(streamattn_launch_forward(kernel, &args, nullptr) == STREAMATTN_INVALID_ARGUMENT);
    CHECK(streamattn_last_error() == message);
  };
  slope.dtype = 0;
  fails("slope: dtype is 0, needs one of streamattn_dtype's types");
  slope.dtype = STREAMATTN_I32;
  fails("tensor \"slope\": dtype is i32, needs f32");
  slope.dtype = STREAMATTN_F32;
  slope.name = nullptr;
  fails("the name of a tensor is null");
  args.tensors = nullptr;
  fails("tensors is null");
  args.scalars = nullptr;
  fails("scalars is null");
  std::size_t bytes = 0;
  args.scalar_count = args.tensor_count = 0;
  CHECK(streamattn_forward_workspace(kernel, &args, &bytes) == STREAMATTN_INVALID_ARGUMENT);
  CHECK(streamattn_last_error() ==
        std::string("scalar \"window\" is missing, the problem names it"));
}

TEST_CASE("callers that were compiled with older structs are served as before") {
  const CpuJit jit;
  streamattn_problem problem = c_problem();
  problem.struct_size = offsetof(streamattn_problem, score);
  problem.score = "neither read", problem.sink = "nor this";
  const streamattn_shape shape = c_shape();
  const streamattn_kernel* kernel = nullptr;
  REQUIRE(streamattn_forward_kernel(jit.get(), &problem, &shape, &kernel) == STREAMATTN_OK);
  Buffers buffers;
  streamattn_forward_args args = buffers.args();
  args.struct_size = offsetof(streamattn_forward_args, scalars);
  args.scalar_count = args.tensor_count = 99;
  REQUIRE(streamattn_launch_forward(kernel, &args, nullptr) == STREAMATTN_OK);
  check_result(buffers.cpp_args());
}

TEST_CASE("the workspace that a launch needs can be asked for before there is memory") {
  const CpuJit jit;
  streamattn_forward_args args = Buffers().args();
  args.q.data = args.k.data = args.v.data = args.o.data = nullptr;
  std::size_t bytes = 1;
  REQUIRE(streamattn_forward_workspace(find_kernel(jit), &args, &bytes) == STREAMATTN_OK);
  CHECK(bytes == 0);
  args.k.heads = 5;
  CHECK(streamattn_forward_workspace(find_kernel(jit), &args, &bytes) ==
        STREAMATTN_INVALID_ARGUMENT);
}

TEST_CASE("the same problem gives the same kernel") {
  const CpuJit jit;
  CHECK(find_kernel(jit) == find_kernel(jit));
}

TEST_CASE("a description is cut to the buffer and its whole length is returned") {
  const CpuJit jit;
  const streamattn_kernel* kernel = find_kernel(jit);
  const std::size_t length = streamattn_describe(kernel, nullptr, 0);
  std::string whole(length + 1, '#');
  CHECK(streamattn_describe(kernel, whole.data(), whole.size()) == length);
  CHECK(whole.back() == '\0');
  CHECK(whole.find("cpu_tiled") != std::string::npos);
  char cut[5] = "####";
  CHECK(streamattn_describe(kernel, cut, sizeof cut) == length);
  CHECK(streamattn_describe(kernel, nullptr, 100) == length);
  CHECK(std::string(cut) == whole.substr(0, 4));
}

TEST_CASE("schedule rows given as text are tried first, and explain themselves") {
  streamattn_jit_options options = {};
  options.struct_size = sizeof options;
  options.target = "cpu";
  options.pins =
      "[[schedule]]\ntarget = \"cpu\"\nwhen = { head_dim = 24 }\n"
      "use = { family = \"cpu_tiled\", tile_q = 32, tile_kv = 48 }\n";
  streamattn_jit* jit = nullptr;
  REQUIRE(streamattn_jit_create(&options, &jit) == STREAMATTN_OK);
  const streamattn_problem problem = c_problem();
  const streamattn_shape shape = c_shape();
  const streamattn_kernel* kernel = nullptr;
  REQUIRE(streamattn_forward_kernel(jit, &problem, &shape, &kernel) == STREAMATTN_OK);
  std::string text(2000, '\0');
  streamattn_describe(kernel, text.data(), text.size());
  CHECK(text.find("row pins:1") != std::string::npos);
  CHECK(text.find("tile_kv 48") != std::string::npos);
  streamattn_jit_destroy(jit);
}

TEST_CASE("failures are statuses with a message of their own") {
  const CpuJit jit;
  const streamattn_shape shape = c_shape();
  const streamattn_kernel* kernel = nullptr;
  const auto fails = [&](auto change, streamattn_status expected, const std::string& message) {
    streamattn_problem problem = c_problem();
    change(problem);
    CHECK(streamattn_forward_kernel(jit.get(), &problem, &shape, &kernel) == expected);
    CHECK(std::string(streamattn_last_error()).find(message) != std::string::npos);
  };
  fails([](auto& problem) { problem.dtype = STREAMATTN_DTYPE_DEFAULT; },
        STREAMATTN_INVALID_ARGUMENT, "dtype is 0, needs one of streamattn_dtype's types");
  fails([](auto& problem) { problem.out_dtype = 9; }, STREAMATTN_INVALID_ARGUMENT,
        "out_dtype is 9, needs one of streamattn_dtype's types");
  fails([](auto& problem) { problem.struct_size = 0; }, STREAMATTN_INVALID_ARGUMENT,
        "streamattn_problem has struct_size 0, this library knows up to ");
  fails([](auto& problem) { problem.struct_size = 4096; }, STREAMATTN_INVALID_ARGUMENT,
        "streamattn_problem has struct_size 4096, this library knows up to ");
  fails([](auto& problem) { problem.mask = "k <<= q"; }, STREAMATTN_INVALID_PROBLEM, "^");
  fails([](auto& problem) { problem.score = "k <= q"; }, STREAMATTN_INVALID_PROBLEM,
        "a score is a number");
  fails([](auto& problem) { problem.sink = "score"; }, STREAMATTN_INVALID_PROBLEM,
        "depends on score");
  fails([](auto& problem) { problem.dtype = STREAMATTN_U8; }, STREAMATTN_INVALID_PROBLEM, "u8");
  fails([](auto& problem) { problem.head_dim = -1; }, STREAMATTN_INVALID_PROBLEM, "head_dim");
}

TEST_CASE("the version macros are the library's version") {
  const std::string macros = std::to_string(STREAMATTN_VERSION_MAJOR) + "." +
                             std::to_string(STREAMATTN_VERSION_MINOR) + "." +
                             std::to_string(STREAMATTN_VERSION_PATCH);
  CHECK(macros == streamattn_version());
}

TEST_CASE("a log callback in C gets its lines and its pointer") {
  std::vector<std::string> lines;
  const auto record = [](void* user, streamattn_log_level level, const char* topic,
                         const char* message) {
    static_cast<std::vector<std::string>*>(user)->push_back(std::to_string(level) + " " + topic +
                                                            " " + message);
  };
  CHECK(streamattn_set_log_level("loud") == STREAMATTN_INVALID_CONFIG);
  CHECK(streamattn_set_log_level(nullptr) == STREAMATTN_INVALID_ARGUMENT);
  CHECK(streamattn_set_log_level("error") == STREAMATTN_OK);
  CHECK(streamattn_set_log_callback(record, &lines) == STREAMATTN_OK);
  log(LogLevel::error, LogTopic::load, "broken");
  log(LogLevel::warning, LogTopic::load, "odd");
  CHECK(streamattn_set_log_callback(nullptr, nullptr) == STREAMATTN_OK);
  CHECK(streamattn_set_log_level("warning") == STREAMATTN_OK);
  CHECK(lines == std::vector<std::string>{"1 load broken"});
}

TEST_CASE("null pointers are refused by name") {
  const CpuJit jit;
  const streamattn_problem problem = c_problem();
  const streamattn_shape shape = c_shape();
  const streamattn_kernel* kernel = find_kernel(jit);
  Buffers buffers;
  const streamattn_forward_args args = buffers.args();
  const auto refused = [](streamattn_status status, const std::string& message) {
    CHECK(status == STREAMATTN_INVALID_ARGUMENT);
    CHECK(streamattn_last_error() == message);
  };
  refused(streamattn_jit_create(nullptr, nullptr), "jit is null");
  refused(streamattn_forward_kernel(nullptr, &problem, &shape, &kernel), "jit is null");
  refused(streamattn_forward_kernel(jit.get(), &problem, &shape, nullptr), "kernel is null");
  refused(streamattn_forward_kernel(jit.get(), nullptr, &shape, &kernel),
          "streamattn_problem is null");
  refused(streamattn_forward_kernel(jit.get(), &problem, nullptr, &kernel),
          "streamattn_shape is null");
  refused(streamattn_launch_forward(nullptr, &args, nullptr), "kernel is null");
  refused(streamattn_launch_forward(kernel, nullptr, nullptr), "streamattn_forward_args is null");
  refused(streamattn_forward_workspace(kernel, &args, nullptr), "bytes is null");
  CHECK(streamattn_describe(nullptr, nullptr, 0) == 0);
  streamattn_jit_destroy(nullptr);
}

TEST_CASE("statuses have the names of the C++ error codes") {
  CHECK(std::string(streamattn_status_name(STREAMATTN_OK)) == "ok");
  CHECK(std::string(streamattn_status_name(STREAMATTN_NO_DRIVER)) == name(ErrorCode::no_driver));
  CHECK(std::string(streamattn_status_name(STREAMATTN_CACHE_IO)) == name(ErrorCode::cache_io));
  CHECK(std::string(streamattn_status_name(STREAMATTN_INTERNAL_ERROR)) == "internal_error");
  CHECK(streamattn_version() == version());
}

TEST_CASE("an unknown target in C is an invalid argument") {
  streamattn_jit_options options = {};
  options.struct_size = sizeof options;
  options.target = "sm_12";
  streamattn_jit* jit = nullptr;
  CHECK(streamattn_jit_create(&options, &jit) == STREAMATTN_INVALID_ARGUMENT);
  CHECK(jit == nullptr);
}

TEST_CASE("the C entry points work while the process ends") {
  SKIP_TEST_OF_THREADS_IN_CHILD();
  CHECK(exit_code_of_child([] {
          static const CpuJit jit;
          static const streamattn_kernel* kernel = find_kernel(jit);
          std::atexit([] {
            Buffers buffers;
            const streamattn_forward_args args = buffers.args();
            const bool launches =
                streamattn_launch_forward(kernel, &args, nullptr) == STREAMATTN_OK;
            const bool refuses =
                streamattn_launch_forward(kernel, nullptr, nullptr) != STREAMATTN_OK;
            ::_exit(launches && refuses && *streamattn_last_error() == 0 ? 7 : 1);
          });
          streamattn_launch_forward(kernel, nullptr, nullptr);  // a message that is freed before
          std::exit(1);
          return 1;
        }) == 7);
}

}  // namespace
}  // namespace streamattn

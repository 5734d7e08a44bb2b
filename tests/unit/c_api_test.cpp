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
#include "tests/support/c_calls.h"
#include "tests/support/forked.h"

extern "C" void c89_name(streamattn_forward_args* args, const streamattn_named_scalar* window,
                         streamattn_named_tensor* slope, const float* slopes, int heads);

namespace streamattn {
namespace {

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
  for (const std::size_t count : {std::size_t{9}, std::size_t{1} << 60}) {
    args.scalar_count = count;
    fails("there are " + std::to_string(count) + " scalars, a problem names 8 at the most");
  }
  args.scalar_count = 0, args.tensor_count = std::size_t{1} << 60;
  fails("there are 1152921504606846976 tensors, a problem names 6 at the most");
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
                streamattn_launch_forward(nullptr, nullptr, nullptr) != STREAMATTN_OK &&
                streamattn_last_error() == std::string("kernel is null");
            ::_exit(launches && refuses ? 7 : 1);
          });
          streamattn_launch_forward(kernel, nullptr, nullptr);  // a message from before
          std::exit(1);
          return 1;
        }) == 7);
}

}  // namespace
}  // namespace streamattn

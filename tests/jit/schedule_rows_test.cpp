// Rows at the front door: whose are used, and how they move from one machine to another with their
// kernels. The GPU is one that loads kernels and runs none.
#include "runtime/cache/directory.h"
#include "streamattn/jit.h"
#include "tests/jit/fake_gpu.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"
#include "tests/support/skip.h"
#include "tests/support/tool_run.h"

namespace streamattn {
namespace {

namespace fs = std::filesystem;

const Problem problem{.head_dim = 64, .mask = causal()};
const Shape shape{.batch = 1, .kv_heads = 4, .q_len = 128, .kv_len = 128};

/// The row of a tuner, for `problem` of any shape. It is one that nobody would guess.
std::string row(const std::string& place, const std::string& schedule) {
  return "[[schedule]]\n" + place +
         "\nwhen = { op = \"forward\", dtype = \"bf16\", out_dtype = \"bf16\", head_dim = 64, "
         "value_head_dim = 64, group_size = 1, mask = \"k <= q\", score = \"score\", "
         "q_layout = \"dense\", kv_layout = \"dense\", q_lens = false, kv_lens = false, "
         "dropout = false }\nuse = { " +
         schedule + " }\n";
}

const std::string hopper_schedule =
    "family = \"flash_wgmma\", tile_q = 64, tile_kv = 48, "
    "math_warpgroups = 1, ping_pong = false";

std::string hopper_row(const std::string& device) {
  return row("target = \"sm_90a\"\ndevice = \"" + device + "\"", hopper_schedule);
}

/// How many kernels were compiled for the cache in `folder`, by all that have used it and are gone.
std::uint64_t compiles(const fs::path& folder) {
  const CacheDirectory::Opened opened = CacheDirectory::open(folder, false);
  return opened.directory ? opened.directory->counters().compiles : 0;
}

TEST_CASE("a row of another device is used where that is allowed, and the kernel says so") {
  use_fake_gpu();
  if (!has_nvrtc()) SKIP_TEST("no NVRTC");
  const ScratchFolder folder;
  const auto description = [&](const std::string& device, bool foreign_rows) {
    const Jit jit = Jit::create({.pins = ScheduleTable::parse(hopper_row(device), "rows.toml"),
                                 .foreign_rows = foreign_rows,
                                 .cache_dir = folder.path()});
    return jit.forward(problem, shape).describe();
  };
  const std::string own = description("NVIDIA H200", false);
  CHECK_THAT(own, contains_text("chosen by: row rows.toml:1, tuned on NVIDIA H200\n"));
  const std::string foreign = description("NVIDIA H100", true);
  CHECK_THAT(foreign, contains_text("chosen by: row rows.toml:1, tuned on NVIDIA H100\n"));
  CHECK_THAT(foreign, contains_text("tile_kv 48"));
  CHECK_THAT(description("NVIDIA H100", false), !contains_text("rows.toml"));
}

TEST_CASE("rows and kernels that another cache exported serve a GPU without a compile") {
  use_fake_gpu();
  if (!has_nvrtc()) SKIP_TEST("no NVRTC");
  const ScratchFolder folder;
  const auto at = [&](const char* name) { return (folder.path() / name).string(); };
  const ScopedVariable mode("STREAMATTN_CACHE_MODE", std::nullopt);
  write_file(at("tuned.toml"), hopper_row("NVIDIA H200"));
  {
    const ScopedVariable here("STREAMATTN_CACHE_DIR", at("here"));
    const ToolRun run = tool({"tune", "export", "--rows", at("tuned.toml"), "--to", at("bundle")});
    CHECK(run.exit == Exit::ok);
    CHECK(run.out == "1 kernels, 1 of them compiled for it\n");
    CHECK(compiles(at("here")) == 1);
  }
  const ScopedVariable there("STREAMATTN_CACHE_DIR", at("there"));
  const ToolRun run = tool({"tune", "install", "--from", at("bundle"), "--rows", at("rows.toml")});
  CHECK(run.exit == Exit::ok);
  CHECK(run.out == "1 kernels, 1 of them new in the cache\n");
  const auto serves = [&](const Problem& asked) {
    const Jit jit = Jit::create({.pins = ScheduleTable::load(at("rows.toml"))});
    return jit.forward(asked, shape).describe();
  };
  const std::string served = serves(problem);
  CHECK_THAT(served, contains_text("chosen by: row " + at("rows.toml") + ":1"));
  CHECK_THAT(served, contains_text("binary:    from the disk cache"));
  CHECK(compiles(at("there")) == 0);
  // It was counted, not assumed: what was not exported is compiled.
  Problem other = problem;
  other.mask = {};
  CHECK_THAT(serves(other), contains_text("binary:    compiled"));
  CHECK(compiles(at("there")) == 1);
}

TEST_CASE("rows of the CPU move alone: their kernels are part of the library") {
  const ScratchFolder folder;
  const auto at = [&](const char* name) { return (folder.path() / name).string(); };
  const ScopedVariable cache("STREAMATTN_CACHE_DIR", at("cache"));
  const ScopedVariable mode("STREAMATTN_CACHE_MODE", std::nullopt);
  write_file(at("tuned.toml"),
             row("target = \"cpu\"", "family = \"cpu_tiled\", tile_q = 8, tile_kv = 24"));
  CHECK(tool({"tune", "export", "--rows", at("tuned.toml"), "--to", at("bundle")}).out ==
        "0 kernels, 0 of them compiled for it\n");
  CHECK(tool({"tune", "install", "--from", at("bundle"), "--rows", at("rows.toml")}).out ==
        "0 kernels, 0 of them new in the cache\n");
  {
    const Jit jit = Jit::create({.target = "cpu", .pins = ScheduleTable::load(at("rows.toml"))});
    const ForwardKernel& kernel = jit.forward(problem, shape);
    CHECK_THAT(kernel.describe(), contains_text("chosen by: row " + at("rows.toml") + ":1"));
    CHECK(kernel.schedule() == parse_schedule("family=cpu_tiled,tile_q=8,tile_kv=24"));
  }
  CHECK(compiles(at("cache")) == 0);
}

}  // namespace
}  // namespace streamattn

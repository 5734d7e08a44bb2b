// What options of a Jit, and its kernels, mean on a GPU that loads kernels and runs none.
#include <filesystem>

#include "tests/jit/fake_gpu.h"
#include "tests/support/scratch.h"
#include "tests/support/skip.h"

namespace streamattn {
namespace {

namespace fs = std::filesystem;

const Problem problem{.head_dim = 64, .mask = causal()};
const Shape shape{.batch = 1, .kv_heads = 4, .q_len = 128, .kv_len = 128};

TEST_CASE("the host takes the place of a GPU without kernels where that is allowed") {
  use_fake_gpu();
  CHECK(error_of([] { Jit::create({.device = 1}); }) ==
        "no_device: device 1 (NVIDIA A100) is sm_80, and no family has kernels for it: sm_90a is "
        "needed; the target \"cpu\" computes on the host");
  const Jit jit = Jit::create({.device = 1, .cpu_fallback = true});
  CHECK(jit.target().is_cpu());
  CHECK(jit.device() == -1);
  CHECK(Jit::create({.device = 0, .cpu_fallback = true}).device() == 0);
  CHECK(error_of([] { Jit::create({.device = 2, .cpu_fallback = true}); }) ==
        "no_device: there is no CUDA device 2; the driver shows 2");
}

TEST_CASE("a target that the device does not have is refused") {
  use_fake_gpu();
  CHECK(error_of([] { Jit::create({.target = "sm_90a", .device = 1}); }) ==
        "no_device: target sm_90a was asked for, device 1 (NVIDIA A100) is sm_80");
}

TEST_CASE("a Jit takes its templates from a folder, and says what lacks there") {
  use_fake_gpu();
  if (!has_nvrtc()) SKIP_TEST("no NVRTC");
  const ScratchFolder folder;
  const fs::path templates = folder.path() / "templates";
  fs::copy(fs::path(STREAMATTN_SOURCE_DIR) / "templates", templates, fs::copy_options::recursive);
  const auto is_from_cache = [&](const std::optional<fs::path>& from) {
    const Jit jit = Jit::create({.cache_dir = folder.path() / "cache", .template_dir = from});
    return jit.forward(problem, shape).from_cache();
  };
  CHECK_FALSE(is_from_cache({}));
  CHECK(is_from_cache(templates));  // the same text
  const fs::path skeleton = templates / "forward/flash_wgmma.cuh";
  write_file(skeleton, read_file(skeleton) + "// changed\n");
  CHECK_FALSE(is_from_cache(templates));
  fs::remove(skeleton);
  CHECK_THAT(error_of([&] { is_from_cache(templates); }),
             contains_text("template \"forward/flash_wgmma.cuh\", included by ") &&
                 contains_text("is not in " + templates.string()));
}

TEST_CASE("kernels say which operation they compute") {
  const Jit jit = Jit::create({.target = "cpu"});
  CHECK(jit.forward(problem, shape).operation() == Operation::forward);
  CHECK(jit.backward(problem, shape).operation() == Operation::backward);
  CHECK(jit.append(problem, shape).operation() == Operation::append);
  CHECK(jit.merge(problem, shape).operation() == Operation::merge);
  for (const Operation operation :
       {Operation::forward, Operation::backward, Operation::append, Operation::merge})
    CHECK(parse_operation(name(operation)) == operation);
}

}  // namespace
}  // namespace streamattn

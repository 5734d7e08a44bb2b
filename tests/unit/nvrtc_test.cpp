// Finding NVRTC: where it is looked for, in which order, and what is said of each place.
#include "compiler/toolchain/nvrtc.h"

#include <dlfcn.h>

#include <algorithm>
#include <filesystem>

#include "streamattn/compiler.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"
#include "tests/support/skip.h"

using namespace streamattn;
namespace fs = std::filesystem;

namespace {

/// Fills `folder` with a copy of the library `fake` as NVRTC 13 and builtins of `release`.
fs::path install(const fs::path& folder, const char* fake, const std::string& release) {
  fs::create_directories(folder);
  fs::copy_file(fake, folder / "libnvrtc.so.13");
  // Any library will do: tests load it and no more.
  fs::copy_file(FAKE_CUDA, folder / ("libnvrtc-builtins.so." + release));
  return folder / "libnvrtc.so.13";
}

/// The one verdict where STREAMATTN_NVRTC is `place`.
NvrtcCandidate verdict_on(const fs::path& place) {
  const ScopedVariable only("STREAMATTN_NVRTC", place.string());
  const auto candidates = find_nvrtc();
  REQUIRE(candidates.size() == 1);
  return candidates.front();
}

std::ptrdiff_t position(const std::vector<NvrtcFiles>& found, const fs::path& path) {
  const auto at = std::ranges::find(found, path.string(), &NvrtcFiles::path);
  REQUIRE(at != found.end());
  return at - found.begin();
}

}  // namespace

TEST_CASE("a folder or a library named by STREAMATTN_NVRTC is the only candidate") {
  const ScratchFolder folder;
  const fs::path library = install(folder.path(), FAKE_NVRTC, "13.0");
  for (const fs::path& place : {folder.path(), library}) {
    const NvrtcCandidate candidate = verdict_on(place);
    CHECK(candidate.path == library.string());
    CHECK(candidate.verdict == "ok: NVRTC 13.0");
    CHECK(candidate.usable);
  }
}

TEST_CASE("an NVRTC that cannot serve gets a verdict that says why") {
  const ScratchFolder folder;
  const auto verdict = [&](const char* fake, const char* release) {
    static int count = 0;
    const fs::path place = folder.path() / std::to_string(count++);
    install(place, fake, release);
    const NvrtcCandidate candidate = verdict_on(place);
    CHECK_FALSE(candidate.usable);
    return candidate.verdict;
  };
  CHECK(verdict(FAKE_NVRTC, "12.2") == "too old: 12.2, 12.3 is needed");
  CHECK(verdict(FAKE_NVRTC, "13.1") == "is 13.0, but its builtins are 13.1");
  CHECK(verdict(FAKE_NVRTC, "none") == "libnvrtc-builtins.so.* is missing beside it");
  CHECK(verdict(FAKE_NVRTC_WITHOUT_CUBIN, "13.0") == "has no nvrtcGetCUBIN");
  CHECK(verdict(FAKE_NVRTC_WITHOUT_HOPPER, "13.0") == "cannot compile for sm_90a");
  CHECK(verdict_on(folder.path() / "nothing").verdict == "missing");
}

TEST_CASE("a library that is no library gets the loader's words as its verdict") {
  const ScratchFolder folder;
  fs::copy_file(FAKE_CUDA, folder.path() / "libnvrtc-builtins.so.13.0");
  write_file(folder.path() / "libnvrtc.so.13", "not a library");
  CHECK_THAT(verdict_on(folder.path()).verdict,
             Catch::Matchers::StartsWith("cannot be loaded: ") && contains_text("file too short"));

  const ScratchFolder other;
  fs::copy_file(FAKE_NVRTC, other.path() / "libnvrtc.so.13");
  write_file(other.path() / "libnvrtc-builtins.so.13.0", "not a library");
  CHECK_THAT(verdict_on(other.path()).verdict,
             Catch::Matchers::StartsWith("its builtins cannot be loaded: "));
}

TEST_CASE("without a usable NVRTC the error has every verdict and says what to do") {
  const ScopedVariable only("STREAMATTN_NVRTC", "/nowhere");
  CHECK(
      error_of([] { load_nvrtc(); }) ==
      "nvrtc_missing: no usable NVRTC; looked at\n"
      "  /nowhere: missing\n"
      "install the CUDA toolkit or `pip install nvidia-cuda-nvrtc`, or set STREAMATTN_NVRTC to the "
      "folder of libnvrtc.so");
}

TEST_CASE("an NVRTC that looks right but cannot be loaded makes way for the next") {
  const ScratchFolder folder;
  const fs::path broken = install(folder.path() / "broken/lib64", FAKE_NVRTC, "13.0");
  write_file(broken, "not a library");
  install(folder.path() / "good/lib64", FAKE_NVRTC, "13.0");
  const ScopedVariable variables[] = {
      {"STREAMATTN_NVRTC", std::nullopt},
      {"CUDA_HOME", (folder.path() / "broken").string()},
      {"CUDA_PATH", (folder.path() / "good").string()},
  };
  CHECK(search_nvrtc()[position(search_nvrtc(), broken)].complaint.empty());
  CHECK(load_nvrtc().path != broken.string());
}

TEST_CASE("the newest builtins beside a library tell its release, in numbers and not in letters") {
  const ScratchFolder folder;
  install(folder.path(), FAKE_NVRTC, "13.9");
  fs::copy_file(FAKE_CUDA, folder.path() / "libnvrtc-builtins.so.13.10");
  fs::copy_file(FAKE_CUDA, folder.path() / "libnvrtc-builtins.so.bad");
  const ScopedVariable only("STREAMATTN_NVRTC", folder.path().string());
  CHECK(search_nvrtc().front().version == 13100);
  CHECK(version_text(13100) == "13.10");
  CHECK(version_text(12090) == "12.9");
}

TEST_CASE("places are searched in the documented order") {
  const ScratchFolder folder;
  const fs::path& root = folder.path();
  const fs::path home = install(root / "home/lib64", FAKE_NVRTC, "13.0");
  const fs::path path = install(root / "path/targets/x86_64-linux/lib", FAKE_NVRTC, "13.0");
  const fs::path loader = install(root / "loader", FAKE_NVRTC, "13.0");
  const fs::path venv =
      install(root / "venv/lib/python3.11/site-packages/nvidia/cuda_nvrtc/lib", FAKE_NVRTC, "13.0");
  const fs::path user = install(root / "user/.local/lib/python3.12/site-packages/nvidia/cu13/lib",
                                FAKE_NVRTC, "13.0");
  const ScopedVariable variables[] = {
      {"STREAMATTN_NVRTC", std::nullopt},
      {"CUDA_HOME", (root / "home").string()},
      {"CUDA_PATH", (root / "path").string()},
      {"LD_LIBRARY_PATH", "/nowhere:" + (root / "loader").string()},
      {"VIRTUAL_ENV", (root / "venv").string()},
      {"HOME", (root / "user").string()},
  };
  const auto found = search_nvrtc();
  CHECK(position(found, home) < position(found, path));
  CHECK(position(found, path) < position(found, "/nowhere"));
  CHECK(position(found, "/nowhere") < position(found, loader));
  CHECK(position(found, loader) < position(found, venv));
  CHECK(position(found, venv) < position(found, user));
}

TEST_CASE("the wheel that the set-up script unpacks is looked for beside the program") {
  const ScopedVariable none("STREAMATTN_NVRTC", std::nullopt);
  const fs::path prefix = fs::canonical("/proc/self/exe").parent_path().parent_path();
  const fs::path place = prefix / "share/streamattn/nvrtc/lib";
  CHECK(std::ranges::any_of(search_nvrtc(), [&](const NvrtcFiles& files) {
    return files.path.starts_with(place.string());
  }));
}

TEST_CASE("a library that two names lead to is one candidate") {
  const ScratchFolder folder;
  const fs::path library = install(folder.path() / "lib64", FAKE_NVRTC, "13.0");
  fs::create_directory_symlink(folder.path(), folder.path() / "link");
  const ScopedVariable variables[] = {
      {"STREAMATTN_NVRTC", std::nullopt},
      {"CUDA_HOME", folder.path().string()},
      {"CUDA_PATH", (folder.path() / "link").string()},
  };
  const auto found = search_nvrtc();
  CHECK(std::ranges::count(found, library.string(), &NvrtcFiles::path) == 1);
  CHECK(std::ranges::none_of(found, [](const NvrtcFiles& files) {
    return files.path.find("/link/") != std::string::npos;
  }));
}

TEST_CASE("an NVRTC that the process has loaded comes before the toolkit's") {
  const ScratchFolder folder;
  const fs::path loaded = install(folder.path() / "loaded", FAKE_NVRTC, "13.0");
  const fs::path home = install(folder.path() / "home/lib64", FAKE_NVRTC, "13.0");
  const ScopedVariable none("STREAMATTN_NVRTC", std::nullopt);
  const ScopedVariable toolkit("CUDA_HOME", (folder.path() / "home").string());
  void* handle = dlopen(loaded.c_str(), RTLD_NOW | RTLD_LOCAL);
  REQUIRE(handle);
  const auto found = search_nvrtc();
  CHECK(position(found, loaded) < position(found, home));
  dlclose(handle);
}

TEST_CASE("the identity and the options of the compiler are fixed without loading it") {
  const auto found = search_nvrtc();
  const auto chosen =
      std::ranges::find_if(found, [](const NvrtcFiles& files) { return files.complaint.empty(); });
  if (chosen == found.end()) SKIP_TEST("no NVRTC on this machine");
  // Some releases of NVRTC have lost their build-id; then it is a hash of the file.
  CHECK_THAT(compiler_identity(),
             Catch::Matchers::StartsWith("nvrtc " + version_text(chosen->version) + " ") &&
                 contains_text(", builtins build-id:"));
  // A path would keep two machines from sharing a cache.
  CHECK(compiler_identity().find('/') == std::string::npos);
  CHECK(&compiler_identity() == &compiler_identity());
  const Target& hopper = find_target("sm_90a");
  CHECK(compile_options(hopper) == compile_options(hopper, chosen->version));
}

TEST_CASE("an NVRTC is given the options that its release knows") {
  const auto has = [](CudaVersion version, const std::string& option) {
    const auto options = compile_options(find_target("sm_90a"), version);
    return std::ranges::find(options, option) != options.end();
  };
  CHECK(has(12030, "--gpu-architecture=sm_90a"));
  CHECK(has(12030, "--modify-stack-limit=false"));
  CHECK_FALSE(has(12080, "--no-cache"));
  CHECK(has(12090, "--no-cache"));
  CHECK(has(13000, "--no-cache"));
}

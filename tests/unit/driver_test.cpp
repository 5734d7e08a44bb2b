// Loading the driver, with a fake libcuda in good and bad health; the meaning of its codes.
#include "runtime/gpu/driver.h"

#include <cstring>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/scratch.h"

using namespace streamattn;

namespace {

std::string load_error(const char* health) {
  const ScopedVariable mode("FAKE_CUDA_HEALTH", health);
  return error_of([] { load_driver(FAKE_CUDA); });
}

std::string error_of_result(int result) {
  const Driver driver = load_driver(FAKE_CUDA);
  return error_of([&] {
    throw_driver_error(driver, static_cast<CUresult>(result), "loading streamattn_forward");
  });
}

}  // namespace

TEST_CASE("a healthy driver has every entry of the table") {
  const Driver driver = load_driver(FAKE_CUDA);
  std::vector<void*> entries(sizeof driver / sizeof(void*));
  std::memcpy(entries.data(), &driver, sizeof driver);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    INFO("entry " << i);
    CHECK(entries[i] != nullptr);
  }
}

TEST_CASE("a missing libcuda is reported with the way to get one") {
  CHECK(error_of([] { load_driver("/nowhere/libcuda.so.1"); }) ==
        "no_driver: no usable NVIDIA driver: /nowhere/libcuda.so.1: cannot open shared object "
        "file: No such file or directory: install NVIDIA's driver 550 (CUDA 12.4) or "
        "newer; in a container, start it with the GPU (docker run --gpus all)");
}

TEST_CASE("the toolkit's stub is told from a driver") {
  CHECK(load_error("stub") ==
        std::string("no_driver: no usable NVIDIA driver: ") + FAKE_CUDA +
            ": this libcuda is the toolkit's stub, not a driver: remove .../stubs "
            "from LD_LIBRARY_PATH");
}

TEST_CASE("a driver that is too old is refused with its version and the one needed") {
  CHECK(load_error("old") ==
        std::string("no_driver: no usable NVIDIA driver: ") + FAKE_CUDA +
            ": it is too old, for CUDA 12.2; install NVIDIA's driver 550 (CUDA "
            "12.4) or newer; in a container, start it with the GPU (docker run "
            "--gpus all)");
}

TEST_CASE("a driver that lacks an entry is refused with its name") {
  CHECK_THAT(load_error("incomplete"), Catch::Matchers::StartsWith("no_driver: ") &&
                                           contains_text(": it has no cuFuncLoad; install"));
}

TEST_CASE("a driver without a GPU is no device, not no driver") {
  CHECK(load_error("no device") ==
        "no_device: initialising CUDA: its description (CUDA_ERROR_NAME, 100); the driver sees no "
        "GPU; look at nvidia-smi and CUDA_VISIBLE_DEVICES");
}

TEST_CASE("a library that is no driver at all is refused") {
  CHECK_THAT(error_of([] { load_driver("libm.so.6"); }),
             contains_text("it is too old, for CUDA 0.0"));
}

TEST_CASE("driver() and try_driver() agree on whether there is a driver") {
  if (try_driver()) {
    CHECK(&driver() == try_driver());
    CHECK_NOTHROW(check(CUDA_SUCCESS, "doing nothing"));
  } else {
    CHECK_THAT(error_of([] { driver(); }), Catch::Matchers::StartsWith("no_driver: ") ||
                                               Catch::Matchers::StartsWith("no_device: "));
  }
}

TEST_CASE("an error of the driver says what was tried, what happened and what it means") {
  CHECK(error_of_result(CUDA_ERROR_INVALID_IMAGE) ==
        "load_failed: loading streamattn_forward: its description (CUDA_ERROR_NAME, 200); the "
        "binary does not suit the device or is damaged");
  CHECK(
      error_of_result(12345) ==
      "launch_failed: loading streamattn_forward: no description (unknown error, 12345); the call "
      "was refused");
}

TEST_CASE("errors that break the context say so") {
  for (int result : {700, 702, 710, 714, 715, 716, 717, 718, 719, 721}) {
    INFO(result);
    CHECK_THAT(error_of_result(result), contains_text("the context is broken"));
  }
  CHECK_THAT(error_of_result(701), !contains_text("the context is broken"));
}

TEST_CASE("every result has the code of what is to blame") {
  struct Case {
    ErrorCode code;
    std::vector<int> results;
    const char* advice;
  };
  const Case cases[] = {
      {ErrorCode::load_failed, {200, 209, 218, 222, 300}, "does not suit the device"},
      {ErrorCode::load_failed, {500}, "does not hold what was asked for"},
      {ErrorCode::no_driver, {3}, "forked after CUDA was initialised"},
      {ErrorCode::no_driver, {34}, "remove .../stubs"},
      {ErrorCode::no_driver, {36}, "install NVIDIA's driver"},
      {ErrorCode::no_driver, {802}, "fabric manager"},
      {ErrorCode::no_driver, {803}, "restart the machine"},
      {ErrorCode::no_driver, {804}, "forward-compatibility"},
      {ErrorCode::no_device, {46}, "another process has the device"},
      {ErrorCode::no_device, {100}, "sees no GPU"},
      {ErrorCode::no_device, {101}, "no device of this number"},
      {ErrorCode::launch_failed, {2}, "no memory left"},
      {ErrorCode::launch_failed, {214, 220, 226}, "the device is lost"},
      {ErrorCode::launch_failed, {900, 901, 908}, "being captured"},
      {ErrorCode::launch_failed, {1, 201, 701}, "the call was refused"},
  };
  for (const Case& c : cases) {
    for (int result : c.results) {
      INFO(result);
      CHECK_THAT(
          error_of_result(result),
          Catch::Matchers::StartsWith(std::string(name(c.code)) + ": ") && contains_text(c.advice));
    }
  }
}

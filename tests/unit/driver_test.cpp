// Loading the driver, with a fake libcuda in good and bad health; the meaning of its codes.
#include "runtime/driver.h"

#include <cstring>
#include <vector>

#include "tests/support/scoped_variable.h"
#include "tests/support/thrown_error.h"

using namespace streamattn;

namespace {

Error load_error(const char* health) {
  const ScopedVariable mode("FAKE_CUDA", health);
  return thrown_error([] { load_driver(FAKE_CUDA); });
}

Error error_of(int result) {
  const Driver driver = load_driver(FAKE_CUDA);
  return thrown_error([&] {
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
  const Error error = thrown_error([] { load_driver("/nowhere/libcuda.so.1"); });
  CHECK(error.code() == ErrorCode::no_driver);
  CHECK(error.what() ==
        std::string("no usable NVIDIA driver: /nowhere/libcuda.so.1: cannot open shared object "
                    "file: No such file or directory: install NVIDIA's driver 550 (CUDA 12.4) or "
                    "newer; in a container, start it with the GPU (docker run --gpus all)"));
}

TEST_CASE("the toolkit's stub is told from a driver") {
  const Error error = load_error("stub");
  CHECK(error.code() == ErrorCode::no_driver);
  CHECK(error.what() == std::string("no usable NVIDIA driver: ") + FAKE_CUDA +
                            ": this libcuda is the toolkit's stub, not a driver: remove .../stubs "
                            "from LD_LIBRARY_PATH");
}

TEST_CASE("a driver that is too old is refused with its version and the one needed") {
  const Error error = load_error("old");
  CHECK(error.code() == ErrorCode::no_driver);
  CHECK(error.what() == std::string("no usable NVIDIA driver: ") + FAKE_CUDA +
                            ": it is too old, for CUDA 12.2; install NVIDIA's driver 550 (CUDA "
                            "12.4) or newer; in a container, start it with the GPU (docker run "
                            "--gpus all)");
}

TEST_CASE("a driver that lacks an entry is refused with its name") {
  const Error error = load_error("incomplete");
  CHECK(error.code() == ErrorCode::no_driver);
  CHECK_THAT(error.what(), Catch::Matchers::Contains(": it has no cuFuncLoad; install"));
}

TEST_CASE("a driver without a GPU is no device, not no driver") {
  const Error error = load_error("no device");
  CHECK(error.code() == ErrorCode::no_device);
  CHECK(error.what() ==
        std::string("initialising CUDA: its description (CUDA_ERROR_NAME, 100); the driver sees no "
                    "GPU; look at nvidia-smi and CUDA_VISIBLE_DEVICES"));
}

TEST_CASE("a library that is no driver at all is refused") {
  const Error error = thrown_error([] { load_driver("libm.so.6"); });
  CHECK(error.code() == ErrorCode::no_driver);
  CHECK_THAT(error.what(), Catch::Matchers::Contains("it is too old, for CUDA 0.0"));
}

TEST_CASE("driver() and try_driver() agree on whether there is a driver") {
  if (try_driver()) {
    CHECK(&driver() == try_driver());
    CHECK_NOTHROW(check(CUDA_SUCCESS, "doing nothing"));
  } else {
    const ErrorCode code = thrown_error([] { driver(); }).code();
    CHECK((code == ErrorCode::no_driver || code == ErrorCode::no_device));
  }
}

TEST_CASE("an error of the driver says what was tried, what happened and what it means") {
  CHECK(error_of(CUDA_ERROR_INVALID_IMAGE).what() ==
        std::string("loading streamattn_forward: its description (CUDA_ERROR_NAME, 200); the "
                    "binary does not suit the device or is damaged"));
  CHECK(error_of(12345).what() ==
        std::string("loading streamattn_forward: no description (unknown error, 12345); the call "
                    "was refused"));
}

TEST_CASE("errors that break the context say so") {
  for (int result : {700, 702, 710, 714, 715, 716, 717, 718, 719, 721}) {
    INFO(result);
    const Error error = error_of(result);
    CHECK(error.code() == ErrorCode::launch_failed);
    CHECK_THAT(error.what(), Catch::Matchers::Contains("the context is broken"));
  }
  CHECK_THAT(error_of(701).what(), !Catch::Matchers::Contains("the context is broken"));
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
      const Error error = error_of(result);
      CHECK(error.code() == c.code);
      CHECK_THAT(error.what(), Catch::Matchers::Contains(c.advice));
    }
  }
}

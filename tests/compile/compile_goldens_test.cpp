// Every golden kernel through NVRTC, without a GPU.
#include <algorithm>
#include <iostream>

#include "compiler/nvrtc.h"
#include "streamattn/error.h"
#include "tests/support/catch.h"
#include "tests/support/golden_cases.h"
#include "tests/support/skip.h"

using namespace streamattn;

TEST_CASE("every golden kernel compiles without spills or serialised matrix instructions") {
  auto candidates = find_nvrtc();
  if (std::none_of(candidates.begin(), candidates.end(), [](auto& c) { return c.usable; }))
    SKIP_TEST("no usable NVRTC");
  std::vector<double> milliseconds;
  for (const GoldenCase& golden : golden_cases()) {
    Binary binary = compile(golden.source());
    INFO(golden.name << " took " << binary.compile_milliseconds << " ms");
    for (const std::string& advisory : binary.advisories) FAIL_CHECK(advisory);
    CHECK(binary.resources.spill_store_bytes == 0);
    CHECK(binary.resources.spill_load_bytes == 0);
    CHECK(binary.resources.stack_bytes == 0);
    // __launch_bounds__ fixes the registers at launch: 65536 over the threads, in steps of 8.
    int threads = 128 * (1 + golden.schedule.math_warpgroups);
    CHECK(binary.resources.registers <= 65536 / threads / 8 * 8);
    milliseconds.push_back(binary.compile_milliseconds);
  }
  std::sort(milliseconds.begin(), milliseconds.end());
  std::cout << milliseconds.size() << " goldens, compile time median "
            << milliseconds[milliseconds.size() / 2] << " ms, worst " << milliseconds.back()
            << " ms\n";
}

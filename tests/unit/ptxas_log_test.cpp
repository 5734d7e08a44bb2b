// What is read out of ptxas's lines.
#include "compiler/toolchain/ptxas_log.h"

#include "tests/support/catch.h"

using namespace streamattn;

namespace {

// NVRTC 13.0, with a function of its own that spills.
constexpr std::string_view log_13 = R"(
ptxas info    : (C7519) warpgroup.arrive is injected in around line 73 by compiler to allow use of registers in GMMA in function 'streamattn_forward'
ptxas info    : (C7511) Potential Performance Loss: wgmma.mma_async instructions are serialized due to insufficient register resources for the wgmma pipeline in the function 'streamattn_forward'
ptxas info    : (C7511) Potential Performance Loss: wgmma.mma_async instructions are serialized due to insufficient register resources for the wgmma pipeline in the function 'streamattn_forward'
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'streamattn_forward' for 'sm_90a'
ptxas info    : Function properties for streamattn_forward
ptxas         .     816 bytes stack frame, 4 bytes spill stores, 8 bytes spill loads
ptxas info    : Used 168 registers, used 1 barriers, 816 bytes cumulative stack size, 1024 bytes smem
ptxas info    : Compile time = 150.615 ms
ptxas info    : Function properties for _Z4helpf
ptxas         .     32 bytes stack frame, 16 bytes spill stores, 20 bytes spill loads
)";

// NVRTC 12: another indent, no compile time, constant memory.
constexpr std::string_view log_12 = R"(ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'streamattn_forward' for 'sm_90a'
ptxas info    : Function properties for streamattn_forward
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 90 registers, 384 bytes smem, 704 bytes cmem[0])";

}  // namespace

TEST_CASE("registers, stack and shared memory are those of the entry, spills those of all") {
  const Resources resources = parse_ptxas_log(log_13, "streamattn_forward").resources;
  CHECK(resources.registers == 168);
  CHECK(resources.stack_bytes == 816);
  CHECK(resources.static_smem_bytes == 1024);
  CHECK(resources.spill_store_bytes == 20);
  CHECK(resources.spill_load_bytes == 28);
  CHECK(resources.dynamic_smem_bytes == 0);
}

TEST_CASE("the log of an older NVRTC is read alike") {
  const PtxasReport report = parse_ptxas_log(log_12, "streamattn_forward");
  CHECK(report.resources.registers == 90);
  CHECK(report.resources.static_smem_bytes == 384);
  CHECK(report.resources.stack_bytes == 0);
  CHECK(report.advisories.empty());
}

TEST_CASE("lines that cost speed are advisories, each once, and so are spills") {
  const auto advisories = parse_ptxas_log(log_13, "streamattn_forward").advisories;
  REQUIRE(advisories.size() == 3);
  CHECK_THAT(advisories[0], Catch::Matchers::StartsWith("(C7519) warpgroup.arrive is injected"));
  CHECK_THAT(advisories[1], Catch::Matchers::StartsWith("(C7511) Potential Performance Loss"));
  CHECK(advisories[2] == "spills: 20 bytes stored, 28 bytes loaded");
}

TEST_CASE("advisories are C7507 to C7519 and nothing beside them") {
  const auto count = [](const char* code) {
    return parse_ptxas_log("ptxas info    : (" + std::string(code) + ") text", "e")
        .advisories.size();
  };
  for (const char* code :
       {"C7507", "C7508", "C7510", "C7512", "C7514", "C7515", "C7517", "C7519"}) {
    INFO(code);
    CHECK(count(code) == 1);
  }
  for (const char* code : {"C7506", "C7520", "C750", "C75199", "C75", "C", "C75x8", "D7510"}) {
    INFO(code);
    CHECK(count(code) == 0);
  }
}

TEST_CASE("a log without ptxas lines gives nothing") {
  for (std::string_view log : {"", "\n\n", "streamattn.cu(1): warning #1-D: last line\n",
                               " bytes smem", " registers", "Function properties for "}) {
    const PtxasReport report = parse_ptxas_log(log, "streamattn_forward");
    CHECK(report.resources.registers == 0);
    CHECK(report.resources.static_smem_bytes == 0);
    CHECK(report.advisories.empty());
  }
}

TEST_CASE("the first errors of a log come with their context and without what precedes them") {
  const std::string log =
      "streamattn.cu(1): warning #177-D: unused\n"
      "streamattn.cu(3): error: identifier \"foo\" is undefined\n"
      "    foo();\n"
      "    ^\n"
      "\n"
      "1 error detected in the compilation of \"streamattn.cu\".\n";
  CHECK(first_errors(log) ==
        "streamattn.cu(3): error: identifier \"foo\" is undefined\n"
        "    foo();\n"
        "    ^\n"
        "1 error detected in the compilation of \"streamattn.cu\".");
  CHECK(first_errors("ptxas fatal   : aborted\n") == "ptxas fatal   : aborted");
  CHECK(first_errors("something else\n") == "");
  CHECK(first_errors("") == "");
}

TEST_CASE("a long list of errors is cut") {
  std::string log;
  for (int i = 0; i < 100; ++i) log += "error " + std::to_string(i) + "\n";
  const std::string errors = first_errors(log);
  CHECK_THAT(errors, Catch::Matchers::StartsWith("error 0\nerror 1\n"));
  CHECK_THAT(errors, Catch::Matchers::EndsWith("error 23\n... and 76 more lines"));
}

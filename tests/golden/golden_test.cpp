// Emitted source against the checked-in files. After a change that is meant: scripts/approve.
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>

#include "streamattn/error.h"
#include "tests/support/catch.h"
#include "tests/support/golden_cases.h"

using namespace streamattn;

namespace {

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("emitted source equals the approved files") {
  bool approve = std::getenv("STREAMATTN_APPROVE") != nullptr;
  for (const GoldenCase& golden : golden_cases()) {
    std::string text = golden.source().text;
    if (approve) std::ofstream(golden.path()) << text;
    INFO(golden.path() << " differs; if that is meant, run scripts/approve and read the diff");
    CHECK(read(golden.path()) == text);
  }
}

TEST_CASE("every approved file belongs to a golden case") {
  std::set<std::filesystem::path> known;
  for (const GoldenCase& golden : golden_cases()) CHECK(known.insert(golden.path()).second);
  for (const auto& entry : std::filesystem::directory_iterator(STREAMATTN_GOLDEN_DIR))
    if (entry.path().extension() == ".cu") CHECK(known.count(entry.path()) == 1);
}

TEST_CASE("equal input gives equal text and shapes never reach it") {
  Problem problem{.head_dim = 128, .mask = causal()};
  const Target& target = find_target("sm_90a");
  Schedule schedule = schedules(Operation::forward, problem, {}, target).front();
  const Source once = emit(Operation::forward, problem, schedule, target).front();
  CHECK(once.text == emit(Operation::forward, problem, schedule, target).front().text);
  CHECK(once.flat == emit(Operation::forward, problem, schedule, target).front().flat);
  // What only steers the launch is not in the text either.
  schedule.set("section_heads", std::int64_t{7}).set("tile_order", std::string("fixed"));
  CHECK(once.flat == emit(Operation::forward, problem, schedule, target).front().flat);
}

TEST_CASE("a flattened source includes nothing and has every template once") {
  std::string flat = golden_cases().front().source().flat;
  CHECK(flat.find("#include") == std::string::npos);
  CHECK(flat.find("#pragma once") == std::string::npos);
  for (const char* once : {"struct FlashParams {", "struct RowStats {", "struct FlashConsumer {"}) {
    CHECK(flat.find(once) != std::string::npos);
    CHECK(flat.find(once) == flat.rfind(once));
  }
}

TEST_CASE("templates are read from a folder that is given, and a missing one is named") {
  Problem problem{.head_dim = 64};
  const Target& target = find_target("sm_90a");
  Schedule schedule = schedules(Operation::forward, problem, {}, target).front();
  const Source embedded = emit(Operation::forward, problem, schedule, target).front();
  CHECK(
      emit(Operation::forward, problem, schedule, target, {STREAMATTN_TEMPLATE_DIR}).front().flat ==
      embedded.flat);
  CHECK_THROWS_WITH(emit(Operation::forward, problem, schedule, target, {"/nonexistent"}),
                    contains_text("template \"forward/flash_wgmma.cuh\", included by "
                                  "\"streamattn.cu\", is not in /nonexistent"));
}

// Schedules as text.
#include "streamattn/schedule.h"

#include <random>

#include "compiler/schedule_fields.h"
#include "support/did_you_mean.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

using namespace streamattn;

namespace {

Schedule random_schedule(std::mt19937& random) {
  Schedule schedule;
  struct Randomise {
    std::mt19937& random;
    void operator()(std::string_view, std::string& field) const {
      field = random() % 2 ? "flash_wgmma" : "cpu_tiled";
    }
    void operator()(std::string_view, int& field) const {
      field = static_cast<int>(random() % 300);
    }
    void operator()(std::string_view, bool& field) const { field = random() % 2; }
    void operator()(std::string_view, Softmax& field) const { field = Softmax(random() % 2); }
    void operator()(std::string_view, TileOrder& field) const { field = TileOrder(random() % 2); }
  };
  visit_fields(schedule, Randomise{random});
  return schedule;
}

}  // namespace

TEST_CASE("the description of a schedule names every field in order") {
  const Schedule schedule{.family = "flash_wgmma",
                          .tile_q = 128,
                          .tile_kv = 176,
                          .softmax = Softmax::stale,
                          .section_heads = 8};
  const std::string line = schedule.describe();
  CHECK_THAT(line, Catch::Matchers::StartsWith("flash_wgmma: tile_q 128, tile_kv 176, stages 2, "
                                               "math_warpgroups 2, ping_pong true"));
  CHECK_THAT(line,
             Catch::Matchers::EndsWith(", softmax stale, tile_order dynamic, section_heads 8"));
  std::size_t at = 0;
  visit_fields(schedule, [&](std::string_view name, const auto&) {
    if (name == "family") return;
    const std::size_t next = line.find(" " + std::string(name) + " ", at);
    INFO(name);
    REQUIRE(next != std::string::npos);
    at = next + 1;
  });
}

TEST_CASE("a schedule written field by field is read back whole") {
  std::mt19937 random(7);
  for (int i = 0; i < 200; ++i) {
    const Schedule schedule = random_schedule(random);
    // "family: name value, ..." is one substitution away from "name=value,...".
    std::string text = "family=" + schedule.describe();
    text.replace(text.find(": "), 2, ", ");
    for (std::size_t at = text.find(", "); at != std::string::npos; at = text.find(", ", at + 1)) {
      text[text.find(' ', at + 2)] = '=';
    }
    INFO(text);
    CHECK(parse_schedule(text) == schedule);
  }
}

TEST_CASE("a setting changes its field and no other") {
  const Schedule base{.family = "flash_wgmma", .tile_q = 192, .o_buffer = true};
  Schedule expected = base;
  expected.tile_kv = 176;
  expected.softmax = Softmax::stale;
  CHECK(parse_schedule("tile_kv=176,softmax=stale", base) == expected);
  CHECK(parse_schedule(" tile_kv = 176 , softmax = stale , ", base) == expected);
  CHECK(parse_schedule("", base) == base);
}

TEST_CASE("a wrong setting is refused with what was found and what is needed") {
  const std::pair<const char*, const char*> cases[] = {
      {"tilekv=1", "unknown schedule field \"tilekv\", did you mean \"tile_kv\"?"},
      {"tile_kv=wide", "tile_kv is \"wide\", it needs a number in 0..2147483647"},
      {"tile_kv=-1", "tile_kv is -1, it needs a number in 0..2147483647"},
      {"tile_kv=2147483648", "tile_kv is 2147483648, it needs a number in 0..2147483647"},
      {"tile_kv=", "tile_kv is \"\", it needs a number in 0..2147483647"},
      {"ping_pong=1", "ping_pong is 1, it needs true or false"},
      {"softmax=online", "softmax is \"online\", it needs \"exact\" or \"stale\""},
      {"tile_order=true", "tile_order is true, it needs \"fixed\" or \"dynamic\""},
      {"family=", "family is \"\", it needs a name"},
      {"tile_kv", "\"tile_kv\" is not of the form name=value"},
      {"tile_kv=1,tile_kv=2", "tile_kv is given twice"},
  };
  for (const auto& [text, complaint] : cases) {
    INFO(text);
    CHECK(error_of([text = text] { parse_schedule(text); }) ==
          "invalid_config: schedule \"" + std::string(text) + "\": " + complaint);
  }
}

TEST_CASE("a setting without a field near its name is answered with all fields") {
  CHECK_THAT(
      error_of([] { parse_schedule("zzz=1"); }),
      contains_text("unknown schedule field \"zzz\", known: family, tile_q, tile_kv, stages, "));
}

TEST_CASE("a misspelt word is answered with the nearest known one, a strange one with all") {
  constexpr std::string_view known[] = {"head_dim", "value_head_dim", "mask"};
  CHECK(did_you_mean("headdim", known) == "did you mean \"head_dim\"?");
  CHECK(did_you_mean("maks", known) == "did you mean \"mask\"?");
  CHECK(did_you_mean("batch", known) == "known: head_dim, value_head_dim, mask");
  CHECK(did_you_mean("", known) == "known: head_dim, value_head_dim, mask");
}

// Schedules: knobs by name, and as text.
#include "streamattn/schedule.h"

#include <random>

#include "compiler/families/family.h"
#include "compiler/families/flash_wgmma/flash_wgmma.h"
#include "support/did_you_mean.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

using namespace streamattn;

namespace {

Schedule flash() { return Schedule("flash_wgmma"); }

/// Any value that suits the knob.
KnobValue random_value(const Knob& knob, std::mt19937& random) {
  if (knob.is_switch) return random() % 2 == 1;
  if (knob.choices.empty()) return static_cast<std::int64_t>(random() % 300);
  return std::string(knob.choices[random() % knob.choices.size()]);
}

Schedule random_schedule(const Family& family, std::mt19937& random) {
  Schedule schedule(family.name);
  for (const Knob& knob : family.knobs->knobs) schedule.set(knob.name, random_value(knob, random));
  return schedule;
}

}  // namespace

TEST_CASE("the description of a schedule names every knob of its family in order") {
  const std::string line =
      parse_schedule("tile_q=128,tile_kv=176,softmax=stale,section_heads=8", flash()).describe();
  CHECK_THAT(line, Catch::Matchers::StartsWith("flash_wgmma: tile_q 128, tile_kv 176, stages 2, "
                                               "math_warpgroups 2, ping_pong true"));
  CHECK_THAT(line, Catch::Matchers::EndsWith(
                       ", softmax stale, tile_order dynamic, section_heads 8, splits 0"));
  CHECK(Schedule("cpu_tiled").describe() == "cpu_tiled: tile_q 96, tile_kv 256");
  CHECK(Schedule().describe().empty());
}

TEST_CASE("a schedule written knob by knob is read back whole") {
  std::mt19937 random(7);
  for (const Family& family : families()) {
    for (int i = 0; i < 200; ++i) {
      const Schedule schedule = random_schedule(family, random);
      // "family: name value, ..." is one substitution away from "name=value,...".
      std::string text = "family=" + schedule.describe();
      text.replace(text.find(": "), 2, ", ");
      for (std::size_t at = text.find(", "); at != std::string::npos;
           at = text.find(", ", at + 1)) {
        text[text.find(' ', at + 2)] = '=';
      }
      INFO(text);
      CHECK(parse_schedule(text) == schedule);
    }
  }
}

TEST_CASE("a family's settings survive the way to a schedule and back") {
  std::mt19937 random(5);
  for (int i = 0; i < 200; ++i) {
    const Schedule schedule = random_schedule(find_family("flash_wgmma"), random);
    CHECK(to_schedule(settings_of<FlashSchedule>(schedule)) == schedule);
  }
  CHECK(to_schedule(FlashSchedule{}) == flash());
}

TEST_CASE("a setting changes its knob and no other") {
  const Schedule base = flash().set("tile_q", std::int64_t{192}).set("o_buffer", true);
  Schedule expected = base;
  expected.set("tile_kv", std::int64_t{176}).set("softmax", std::string("stale"));
  CHECK(parse_schedule("tile_kv=176,softmax=stale", base) == expected);
  CHECK(parse_schedule(" tile_kv = 176 , softmax = stale , ", base) == expected);
  CHECK(parse_schedule("", base) == base);
  CHECK(parse_schedule("family=flash_wgmma", base) == base);
  CHECK(parse_schedule("family=cpu_tiled", base) == Schedule("cpu_tiled"));
  CHECK(std::get<std::int64_t>(expected.get("tile_kv")) == 176);
  CHECK(std::get<bool>(expected.get("o_buffer")));
  CHECK(std::get<std::string>(expected.get("softmax")) == "stale");
}

TEST_CASE("schedules that differ in how they are launched have one text, others have their own") {
  const Problem problem{.head_dim = 128, .mask = causal()};
  const Target& target = find_target("sm_90a");
  const Schedule chosen =
      choose(Operation::forward, problem, {.kv_heads = 16, .q_len = 4096}, target).schedule;
  const auto texts = [&](const Schedule& schedule) {
    std::string all;
    for (const Source& source : emit(Operation::forward, problem, schedule, target))
      all += source.flat;
    return all;
  };
  const auto is_legal = [&](const Schedule& schedule) {
    return error_of([&] { check(Operation::forward, problem, schedule, target); }) == "nothing";
  };
  std::mt19937 random(1);
  for (const Knob& knob : find_family("flash_wgmma").knobs->knobs) {
    INFO(knob.name);
    for (int i = 0; i < 20; ++i) {
      Schedule changed = chosen;
      changed.set(knob.name, random_value(knob, random));
      if (changed == chosen || !is_legal(changed)) continue;
      CHECK((texts(changed) == texts(chosen)) == (knob.use == KnobUse::launch));
      CHECK((compiled_part(changed) == compiled_part(chosen)) == (knob.use == KnobUse::launch));
    }
  }
}

TEST_CASE("a wrong setting is refused with what was found and what is needed") {
  const std::pair<const char*, const char*> cases[] = {
      {"tilekv=1", "flash_wgmma has no knob \"tilekv\", did you mean \"tile_kv\"?"},
      {"tile_kv=wide", "tile_kv is \"wide\", it needs a number in 0..2147483647"},
      {"tile_kv=-1", "tile_kv is -1, it needs a number in 0..2147483647"},
      {"tile_kv=2147483648", "tile_kv is 2147483648, it needs a number in 0..2147483647"},
      {"tile_kv=", "tile_kv is \"\", it needs a number in 0..2147483647"},
      {"o_buffer=1", "o_buffer is 1, it needs true or false"},
      {"softmax=online", "softmax is \"online\", it needs \"exact\" or \"stale\""},
      {"tile_order=true", "tile_order is true, it needs \"fixed\" or \"dynamic\""},
      {"family=",
       "unknown family \"\"; there are decode_wgmma, flash_wgmma, backward_wgmma, cpu_tiled, "
       "cpu_backward, append_rows, cpu_append, "
       "merge_shares, cpu_merge"},
      {"tile_kv", "\"tile_kv\" is not of the form name=value"},
      {"tile_kv=1,tile_kv=2", "tile_kv is given twice"},
  };
  for (const auto& [text, complaint] : cases) {
    INFO(text);
    CHECK(error_of([text = text] { parse_schedule(text, flash()); }) ==
          "invalid_config: schedule \"" + std::string(text) + "\": " + complaint);
  }
  CHECK(error_of([] { parse_schedule("tile_kv=1"); }) ==
        "invalid_config: schedule \"tile_kv=1\": there is no family yet that could have "
        "\"tile_kv\"");
}

TEST_CASE("knobs that a family lacks and values that do not suit are refused in C++ too") {
  CHECK(error_of([] { Schedule("flash"); }) ==
        "invalid_schedule: unknown family \"flash\"; there are decode_wgmma, flash_wgmma, "
        "backward_wgmma, cpu_tiled, cpu_backward, append_rows, cpu_append, "
        "merge_shares, cpu_merge");
  CHECK(error_of([] { Schedule("cpu_tiled").set("ping_pong", true); }) ==
        "invalid_schedule: cpu_tiled has no knob \"ping_pong\", known: tile_q, tile_kv");
  CHECK(error_of([] { Schedule("cpu_tiled").get("stages"); }) ==
        "invalid_schedule: cpu_tiled has no knob \"stages\", known: tile_q, tile_kv");
  CHECK(error_of([] { flash().set("stages", true); }) ==
        "invalid_schedule: stages is true, it needs a number in 0..2147483647");
}

TEST_CASE("a setting without a knob near its name is answered with all knobs") {
  CHECK_THAT(error_of([] { parse_schedule("zzz=1", flash()); }),
             contains_text("flash_wgmma has no knob \"zzz\", known: tile_q, tile_kv, stages, "));
}

TEST_CASE("a misspelt word is answered with the nearest known one, a strange one with all") {
  constexpr std::string_view known[] = {"head_dim", "value_head_dim", "mask"};
  CHECK(did_you_mean("headdim", known) == "did you mean \"head_dim\"?");
  CHECK(did_you_mean("maks", known) == "did you mean \"mask\"?");
  CHECK(did_you_mean("batch", known) == "known: head_dim, value_head_dim, mask");
  CHECK(did_you_mean("", known) == "known: head_dim, value_head_dim, mask");
}

// Reading environment variables.
#include "support/environment.h"

#include <regex>

#include "tests/support/catch.h"
#include "tests/support/scratch.h"

using namespace streamattn;

namespace {
constexpr const char* variable = "STREAMATTN_TEST_VARIABLE";
constexpr std::string_view colours[] = {"red", "green"};
}  // namespace

TEST_CASE("a variable that is unset or empty is absent") {
  {
    const ScopedVariable unset(variable, std::nullopt);
    CHECK(environment(variable) == std::nullopt);
    CHECK(environment_path(variable) == std::nullopt);
    CHECK(environment_choice(variable, colours) == std::nullopt);
  }
  const ScopedVariable empty(variable, "");
  CHECK(environment(variable) == std::nullopt);
}

TEST_CASE("a choice is read as its position") {
  const ScopedVariable set(variable, "green");
  CHECK(environment_choice(variable, colours) == 1);
}

TEST_CASE("a value that is no choice is refused by the variable's name") {
  const ScopedVariable set(variable, "blue");
  CHECK(error_of([] { environment_choice(variable, colours); }) ==
        "invalid_config: STREAMATTN_TEST_VARIABLE is 'blue', one of red, green is needed");
}

TEST_CASE("a relative path is refused by the variable's name") {
  const ScopedVariable set(variable, "cache");
  CHECK(error_of([] { environment_path(variable); }) ==
        "invalid_config: STREAMATTN_TEST_VARIABLE is 'cache', an absolute path is needed");
}

TEST_CASE("variables are found by prefix and in order") {
  const ScopedVariable second("STREAMATTN_TEST_B", "2");
  const ScopedVariable first("STREAMATTN_TEST_A", "1");
  const ScopedVariable other("STREAMATTN_OTHER", "3");
  constexpr std::string_view prefixes[] = {"STREAMATTN_TEST_A", "STREAMATTN_TEST_B"};
  CHECK(environment_with_prefixes(prefixes) ==
        std::vector<std::string>{"STREAMATTN_TEST_A=1", "STREAMATTN_TEST_B=2"});
}

TEST_CASE("a variable that nothing reads is warned of once, with the one that was meant") {
  const LogRecorder log;
  const ScopedVariable misspelt("STREAMATTN_CACHEDIR", "/tmp");
  const ScopedVariable known("STREAMATTN_LOG", "warning");
  for (int i = 0; i < 2; ++i) warn_of_unknown_variables();
  CHECK(log.lines == std::vector<std::string>{"nothing reads the variable STREAMATTN_CACHEDIR, did "
                                              "you mean \"STREAMATTN_CACHE_DIR\"?"});
}

TEST_CASE("no variable that the sources read is warned of") {
  const std::filesystem::path root = STREAMATTN_SOURCE_DIR;
  const std::regex name("\"(STREAMATTN_[A-Z_]+)\"");
  int names = 0;
  for (const char* module : {"support", "compiler", "runtime", "measure", "emulator", "tools"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / module)) {
      if (entry.path().extension() != ".cpp") continue;
      const std::string text = read_file(entry.path());
      for (std::sregex_iterator match(text.begin(), text.end(), name), end; match != end; ++match) {
        const std::string variable = (*match)[1];
        ++names;
        INFO(entry.path() << ": " << variable);
        const LogRecorder log;
        const ScopedVariable set(variable.c_str(), "set");
        warn_of_unknown_variables();
        CHECK(log.lines.empty());
      }
    }
  }
  CHECK(names > 5);
}

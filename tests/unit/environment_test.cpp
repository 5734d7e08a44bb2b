// Reading environment variables.
#include "support/environment.h"

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

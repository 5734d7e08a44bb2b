// Flags: values, switches, help and every complaint.
#include <string>
#include <vector>

#include "streamattn/error.h"
#include "tests/support/catch.h"
#include "tools/flags.h"

namespace streamattn {
namespace {

struct Values {
  std::string text = "as it was";
  int number = -1;
  std::uint64_t count = 0;
  double real = 0;
  float narrow = 0;
  std::optional<int> maybe;
  std::vector<int> list;
  Rows rows;
  DType dtype = DType::f32;
  bool on = false;

  Flags flags() {
    Flags flags("test [flags]", "Tests.");
    flags.section("numbers");
    flags.add("number", "N", "a number", number);
    flags.add("count", "N", "a count", count);
    flags.add("real", "X", "a real number", real);
    flags.add("narrow", "X", "a float", narrow);
    flags.add("maybe", "N", "a number or nothing", maybe);
    flags.add("list", "LIST", "numbers", list);
    flags.section("other");
    flags.add("text", "TEXT", "any text", text);
    flags.add("rows", "A:B", "rows", rows);
    flags.add("dtype", "TYPE", "a type", dtype);
    flags.add("on", "a switch", on);
    return flags;
  }

  std::string parse(const std::vector<std::string>& args) {
    std::string printed;
    llvm::raw_string_ostream out(printed);
    flags().parse(args, out);
    return printed;
  }

  std::string complaint(const std::vector<std::string>& args) {
    try {
      parse(args);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::invalid_config);
      return error.what();
    }
    return "no complaint";
  }
};

TEST_CASE("flags take their value after a space or an equals sign") {
  Values values;
  values.parse({"--number", "-12", "--real=2.5", "--narrow=0.25", "--count", "18446744073709551615",
                "--text=a=b", "--rows", "3:17", "--dtype", "f16", "--on"});
  CHECK(values.number == -12);
  CHECK(values.real == 2.5);
  CHECK(values.narrow == 0.25F);
  CHECK(values.count == 18446744073709551615U);
  CHECK(values.text == "a=b");
  CHECK(values.rows.begin == 3);
  CHECK(values.rows.end == 17);
  CHECK(values.dtype == DType::f16);
  CHECK(values.on);
}

TEST_CASE("flags that are not given leave their variables alone") {
  Values values;
  values.parse({});
  CHECK(values.text == "as it was");
  CHECK(values.number == -1);
  CHECK_FALSE(values.maybe.has_value());
  CHECK(values.list.empty());
  CHECK_FALSE(values.on);
}

TEST_CASE("a list flag splits at commas and appends when given again") {
  Values values;
  values.parse({"--list", "64,128", "--list=256", "--maybe", "7"});
  CHECK(values.list == std::vector<int>{64, 128, 256});
  CHECK(values.maybe == 7);
}

TEST_CASE("wrong flags are refused with what was found and what is needed") {
  Values values;
  CHECK(values.complaint({"--number", "12x"}) == "--number is \"12x\", needs an integer");
  CHECK(values.complaint({"--count", "-1"}) == "--count is \"-1\", needs an integer >= 0");
  CHECK(values.complaint({"--real", "fast"}) == "--real is \"fast\", needs a number");
  CHECK(values.complaint({"--rows", "3-17"}) == "--rows is \"3-17\", needs rows as begin:end");
  CHECK(values.complaint({"--list", "1,,2"}) == "--list is \"\", needs an integer");
  CHECK(values.complaint({"--number"}) == "--number needs a value");
  CHECK(values.complaint({"--on=yes"}) == "--on takes no value");
  CHECK(values.complaint({"12"}) == "stray argument \"12\"");
  CHECK(values.complaint({"--numbr", "3"}) == "unknown flag \"numbr\", did you mean \"number\"?");
  CHECK_THAT(values.complaint({"--dtype", "f64"}), Catch::Matchers::StartsWith("--dtype: "));
}

TEST_CASE("help lists every flag under its section and parses nothing") {
  Values values;
  const std::string help = values.parse({"--help", "--number", "3"});
  CHECK(values.number == -1);
  CHECK(help ==
        "usage: streamattn test [flags]\n"
        "\n"
        "Tests.\n"
        "\n"
        "numbers:\n"
        "  --number N    a number\n"
        "  --count N     a count\n"
        "  --real X      a real number\n"
        "  --narrow X    a float\n"
        "  --maybe N     a number or nothing\n"
        "  --list LIST   numbers\n"
        "\n"
        "other:\n"
        "  --text TEXT   any text\n"
        "  --rows A:B    rows\n"
        "  --dtype TYPE  a type\n"
        "  --on          a switch\n");
}

}  // namespace
}  // namespace streamattn

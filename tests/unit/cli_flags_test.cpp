// Flags: values, switches, help and every complaint.
#include <string>
#include <vector>

#include "streamattn/error.h"
#include "tests/support/catch.h"
#include "tools/flags.h"

namespace streamattn {
namespace {

struct Values {
  std::string text = "as it was", file;
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
    flags.exclude({"number", "count", "maybe"});
    flags.section("other");
    flags.add("text", "TEXT", "any text", text);
    flags.add("rows", "A:B", "rows", rows);
    flags.add("dtype", "f16|f32", "a type", dtype);
    flags.add("word", "plain", "the only word", text);
    flags.add("file", "FILE", "it's a [file]: \\", file);
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
  values.parse({"--number", "-12", "--real=2.5", "--narrow=0.25", "--text=a=b", "--rows", "3:17",
                "--dtype", "f16", "--on"});
  values.parse({"--count", "18446744073709551615"});
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
  CHECK(values.complaint({"--count", "-1"}) ==
        "--count is \"-1\", needs an integer in 0..18446744073709551615");
  CHECK(values.complaint({"--count", "x"}) == "--count is \"x\", needs an integer >= 0");
  CHECK(values.complaint({"--real", "fast"}) == "--real is \"fast\", needs a number");
  CHECK(values.complaint({"--rows", "3-17"}) ==
        "--rows is \"3-17\", needs rows as begin:end, each a 64-bit integer");
  CHECK(values.complaint({"--list", "1,,2"}) == "--list is \"\", needs an integer");
  CHECK(values.complaint({"--number"}) == "--number needs a value");
  CHECK(values.complaint({"--on=yes"}) == "--on takes no value");
  CHECK(values.complaint({"12"}) == "stray argument \"12\"");
  CHECK(values.complaint({"--numbr", "3"}) == "unknown flag \"numbr\", did you mean \"number\"?");
  CHECK_THAT(values.complaint({"--dtype", "f64"}), Catch::Matchers::StartsWith("--dtype: "));
}

TEST_CASE("a number out of range is told from what is no number") {
  Values values;
  CHECK(values.complaint({"--number", "99999999999"}) ==
        "--number is \"99999999999\", needs an integer in -2147483648..2147483647");
  CHECK(values.complaint({"--number", "-99999999999"}) ==
        "--number is \"-99999999999\", needs an integer in -2147483648..2147483647");
  CHECK(values.complaint({"--count", "18446744073709551616"}) ==
        "--count is \"18446744073709551616\", needs an integer in 0..18446744073709551615");
  CHECK(values.complaint({"--number", "--1"}) == "--number is \"--1\", needs an integer");
  CHECK(values.complaint({"--number", "-"}) == "--number is \"-\", needs an integer");
}

TEST_CASE("a flag that is given twice and flags that exclude each other are refused") {
  Values values;
  CHECK(values.complaint({"--number", "1", "--number=1"}) == "--number is given twice");
  CHECK(values.complaint({"--number", "1", "--maybe", "1"}) ==
        "--number and --maybe exclude each other, give one of them");
  values.parse({"--on", "--list", "1", "--on", "--list", "2"});
  CHECK(values.list == std::vector<int>{1, 2});
}

TEST_CASE("help has a form for man and for each shell, in which the text is quoted") {
  Values values;
  CHECK(values.complaint({"--help=csh"}) == "--help is \"csh\", needs text, man, bash, zsh, fish");
  const std::string man = values.parse({"--help=man"});
  CHECK(man.starts_with(".SS streamattn test [flags]\nTests.\n.PP\nnumbers:\n"));
  CHECK_THAT(man,
             Catch::Matchers::Contains(".TP\n.B \\-\\-file \\fIFILE\\fR\nit's a [file]: \\\\\n"));
  const std::string bash = values.parse({"--help=bash"});
  CHECK_THAT(bash, Catch::Matchers::Contains("--dtype) words='f16 f32' ;;\n"));
  CHECK_THAT(bash, Catch::Matchers::Contains("--word) words='plain' ;;\n"));
  CHECK_THAT(bash, Catch::Matchers::Contains("--number) words='' ;;\n"));
  CHECK_THAT(bash, Catch::Matchers::Contains("--file) paths=1 ;;\n"));
  const std::string zsh = values.parse({"--help=zsh"});
  CHECK_THAT(zsh, Catch::Matchers::Contains("'--dtype[a type]:f16|f32:(f16 f32)'"));
  CHECK_THAT(zsh, Catch::Matchers::Contains("'--file[it'\\''s a \\[file\\]\\: \\\\]:FILE:_files'"));
  CHECK_THAT(zsh, Catch::Matchers::Contains("'*--list[numbers]:LIST:'"));
  const std::string fish = values.parse({"--help=fish"});
  CHECK_THAT(fish, Catch::Matchers::Contains("-l dtype -d 'a type' -x -a 'f16 f32'\n"));
  CHECK_THAT(fish, Catch::Matchers::Contains("-l file -d 'it\\'s a [file]: \\\\' -r -F\n"));
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
        "  --number N       a number\n"
        "  --count N        a count\n"
        "  --real X         a real number\n"
        "  --narrow X       a float\n"
        "  --maybe N        a number or nothing\n"
        "  --list LIST      numbers\n"
        "\n"
        "other:\n"
        "  --text TEXT      any text\n"
        "  --rows A:B       rows\n"
        "  --dtype f16|f32  a type\n"
        "  --word plain     the only word\n"
        "  --file FILE      it's a [file]: \\\n"
        "  --on             a switch\n");
}

}  // namespace
}  // namespace streamattn

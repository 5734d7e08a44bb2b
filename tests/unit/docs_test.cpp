// What the pages show in blocks can be used as it stands: commands, rows and jobs.
#include <algorithm>
#include <filesystem>
#include <regex>
#include <sstream>

#include "autotune/tune_job.h"
#include "streamattn/schedule_table.h"
#include "tests/support/scratch.h"
#include "tests/support/tool_run.h"

namespace streamattn {
namespace {

/// A block of a page between lines of ```.
struct Block {
  std::string language, text, place;
};

std::vector<Block> blocks_of(const std::filesystem::path& page) {
  std::vector<Block> blocks;
  std::istringstream lines(read_file(page));
  bool is_inside = false;
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    number++;
    if (line.starts_with("```")) {
      is_inside = !is_inside;
      const std::string place = page.filename().string() + ":" + std::to_string(number);
      if (is_inside) blocks.push_back({line.substr(3), "", place});
    } else if (is_inside) {
      blocks.back().text += line + "\n";
    }
  }
  return blocks;
}

std::vector<Block> all_blocks() {
  const std::filesystem::path root = STREAMATTN_SOURCE_DIR;
  std::vector<std::filesystem::path> pages = {root / "README.md", root / "bench/README.md"};
  for (const auto& entry : std::filesystem::directory_iterator(root / "docs"))
    if (entry.path().extension() == ".md") pages.push_back(entry.path());
  std::vector<Block> all;
  for (const auto& page : pages) std::ranges::move(blocks_of(page), std::back_inserter(all));
  return all;
}

/// The words of a line of a shell that has quotes and a comment, and nothing else of a shell.
std::vector<std::string> words_of(const std::string& line) {
  static const std::regex word(R"re(\s*(?:"([^"]*)"|([^\s"]+)))re");
  std::vector<std::string> words;
  for (std::sregex_iterator at(line.begin(), line.end(), word), end; at != end; ++at) {
    const std::smatch& match = *at;
    if (match.str(2) == "#") break;
    words.push_back(match[1].matched ? match.str(1) : match.str(2));
  }
  return words;
}

/// The arguments of every call of the command in the blocks, and where they stand.
std::vector<std::pair<std::vector<std::string>, std::string>> all_calls() {
  std::vector<std::pair<std::vector<std::string>, std::string>> calls;
  for (const Block& block : all_blocks()) {
    std::istringstream lines(std::regex_replace(block.text, std::regex(R"(\\\n)"), " "));
    for (std::string line; std::getline(lines, line);) {
      std::vector<std::string> words = words_of(line);
      if (words.empty() || words[0] != "streamattn" || words[1] == "COMMAND") continue;
      words.erase(words.begin());
      calls.push_back({words, block.place + ": " + line});
    }
  }
  return calls;
}

}  // namespace

TEST_CASE("every flag of a command in the docs is one that it has") {
  const auto calls = all_calls();
  CHECK(calls.size() > 30);
  for (const auto& [words, place] : calls) {
    INFO(place);
    std::vector<std::string> help = {words[0]};
    if (const bool has_action = words.size() > 1 && words[0] == "tune" &&
                                (words[1] == "export" || words[1] == "install");
        has_action || words[0] == "cache")
      help.push_back(words[1]);
    help.push_back("--help");
    const ToolRun told = tool(help);
    CHECK(told.exit == Exit::ok);
    for (const std::string& word : words)
      if (word.starts_with("--")) CHECK(std::regex_search(told.out, std::regex(word + "[ \n]")));
  }
}

TEST_CASE("commands in the docs that need no GPU and no time do what they say") {
  const ScratchFolder folder;
  const std::filesystem::path here = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());  // where they write
  int count = 0;
  for (const auto& [words, place] : all_calls()) {
    if (words[0] != "emit" && words[0] != "explain") continue;
    INFO(place);
    const ToolRun told = tool(words);
    CHECK(told.err == "");
    CHECK(told.exit == Exit::ok);
    count++;
  }
  std::filesystem::current_path(here);
  CHECK(count > 3);
}

TEST_CASE("rows and jobs in the docs can be read") {
  const ScratchFolder folder;
  write_file(folder.path() / "lengths.csv", "128\n1,4096\n");
  int count = 0;
  for (const Block& block : all_blocks()) {
    if (block.language != "toml" || block.text.find("...") != std::string::npos) continue;
    INFO(block.place);
    if (block.text.find("[[case]]") == std::string::npos) {
      CHECK(error_of([&] { ScheduleTable::parse(block.text, "docs"); }) == "nothing");
    } else {
      CHECK(error_of([&] { parse_tune_job(block.text, "docs", folder.path()); }) == "nothing");
    }
    count++;
  }
  CHECK(count > 2);
}

}  // namespace streamattn

// docs/masks.md: the texts in its tables of named masks and scores are canonical ones.
#include <fstream>
#include <regex>
#include <string>

#include "streamattn/expr.h"
#include "tests/support/catch.h"

using namespace streamattn;

TEST_CASE("the page on masks has canonical texts of named masks and scores") {
  std::ifstream page(std::string(STREAMATTN_SOURCE_DIR) + "/docs/masks.md");
  const std::regex row(R"(\| `[^`]*\(.*\)` \| `([^`]*)` \|)");
  std::string section;
  int rows = 0;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("## ")) section = line;
    std::smatch cells;
    const bool is_mask = section == "## Masks with names";
    if (!is_mask && section != "## Scores with names") continue;
    if (!std::regex_match(line, cells, row)) continue;
    const std::string text = std::regex_replace(cells[1].str(), std::regex(R"(\\\|)"), "|");
    INFO(text);
    const ExprRole role = is_mask ? ExprRole::mask : ExprRole::score;
    CHECK(Expr::parse(text, role).text() == text);
    rows++;
  }
  CHECK(rows == 18);
}

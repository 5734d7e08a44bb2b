// Runs of the `streamattn` command in this process, from arguments to exit code. For tests that
// link its tools.
#pragma once

#include <llvm/Support/JSON.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/support/catch.h"
#include "tools/tool.h"

namespace streamattn {

/// What a run came to.
struct ToolRun {
  Exit exit;
  std::string out, err;

  bool says(const std::string& text) const { return out.find(text) != std::string::npos; }
  bool complains(const std::string& text) const { return err.find(text) != std::string::npos; }
};

inline ToolRun tool(const std::vector<std::string>& args) {
  ToolRun run{};
  llvm::raw_string_ostream out(run.out), err(run.err);
  run.exit = run_tool(args, out, err);
  return run;
}

/// What `print(out)` writes.
template <class Print>
std::string printed(const Print& print) {
  std::string text;
  llvm::raw_string_ostream out(text);
  print(out);
  return text;
}

/// `text`, which must be a JSON object.
inline llvm::json::Object parsed(const std::string& text) {
  auto value = llvm::json::parse(text);
  if (!value) FAIL(llvm::toString(value.takeError()));
  REQUIRE(value->getAsObject());
  return std::move(*value->getAsObject());
}

}  // namespace streamattn

// The entry point of the `streamattn` command.
#include "tools/tool.h"

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  return static_cast<int>(streamattn::run_tool(args, llvm::outs(), llvm::errs()));
}

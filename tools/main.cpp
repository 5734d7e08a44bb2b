// The entry point of the `streamattn` command.
#include "tools/tool.h"

namespace {

/// What went wrong with what was written to `stream`. An error that is left in a stream would
/// end the process in the stream's destructor.
std::error_code finish(llvm::raw_fd_ostream& stream) {
  stream.flush();
  const std::error_code error = stream.error();
  stream.clear_error();
  return error;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace streamattn;
  const std::vector<std::string> args(argv + 1, argv + argc);
  Exit exit = run_tool(args, llvm::outs(), llvm::errs());
  if (const std::error_code error = finish(llvm::outs())) {
    llvm::errs() << "streamattn: cannot write the output: " << error.message() << "\n";
    if (exit == Exit::ok) exit = Exit::environment;
  }
  [[maybe_unused]] const std::error_code unheard = finish(llvm::errs());
  return static_cast<int>(exit);
}

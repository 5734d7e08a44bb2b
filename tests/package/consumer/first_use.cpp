// A program that tunes what it computes, with the installed library alone.
#include <streamattn/tuning.h>

#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>

int main() {
  using namespace streamattn;
  const std::filesystem::path table = std::filesystem::absolute("first_use.toml");
  try {
    const Problem problem{.dtype = DType::f32, .head_dim = 32};
    const Shape shape{.batch = 1, .kv_heads = 1, .q_len = 64, .kv_len = 64};
    const JitOptions options{.target = "cpu", .tuner = tune_on_first_use({.table = table})};
    const Jit jit = Jit::create(options);
    const std::string how = jit.forward(problem, shape).describe();
    std::puts(how.c_str());
    const bool found = how.find("row " + table.native()) != std::string::npos;
    return found && ScheduleTable::load(table).size() == 1 ? 0 : 1;
  } catch (const std::exception& error) {
    std::puts(error.what());
    return 1;
  }
}

// Time, signals and messages of fuzz targets.
#include "tests/fuzz/fuzz_loop.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

namespace streamattn {
namespace {

constexpr unsigned longest_run_seconds = 10;

std::string current;  // what a signal handler prints

extern "C" void show_current(int signal) {
  constexpr char head[] = "fuzz: failed on the text between the lines\n----\n";
  constexpr char foot[] = "\n----\n";
  (void)!::write(2, head, sizeof head - 1);
  (void)!::write(2, current.data(), current.size());
  (void)!::write(2, foot, sizeof foot - 1);
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

}  // namespace

int fuzz_main(int argc, char** argv, const std::function<void(const std::string&)>& run,
              const std::function<TextSource(std::uint64_t seed)>& source) {
  for (const int signal : {SIGABRT, SIGSEGV, SIGFPE, SIGALRM}) std::signal(signal, show_current);
  const auto run_alone = [&](std::string text) {
    current = std::move(text);
    ::alarm(longest_run_seconds);
    run(current);
    ::alarm(0);
  };
  char* end = nullptr;
  const double seconds = argc > 1 ? std::strtod(argv[1], &end) : 2;
  if (argc > 1 && *end != '\0') {
    std::ifstream file(argv[1], std::ios::binary);
    run_alone({std::istreambuf_iterator<char>(file), {}});
    return 0;
  }
  const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  const TextSource next = source(seed);
  const auto begin = std::chrono::steady_clock::now();
  long texts = 0;
  for (; std::chrono::steady_clock::now() - begin < std::chrono::duration<double>(seconds); texts++)
    run_alone(next());
  std::printf("%s: %ld texts in %g seconds of seed %llu\n", argv[0], texts, seconds,
              static_cast<unsigned long long>(seed));
  return 0;
}

void report_fault(const std::string& what, const std::string& text) {
  std::fprintf(stderr, "fuzz: %s: %s\n", what.c_str(), text.c_str());
  std::abort();
}

void check_message(const Error& error) {
  const std::string message = error.what();
  const auto is_plain = [](unsigned char c) { return c == '\n' || (c >= ' ' && c != 0x7F); };
  if (message.empty()) report_fault("no message", std::string(name(error.code())));
  if (!std::ranges::all_of(message, is_plain))
    report_fault("a message with a control character", message);
}

}  // namespace streamattn

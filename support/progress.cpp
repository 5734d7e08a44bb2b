// Prints progress lines.
#include "support/progress.h"

#include <unistd.h>

#include <llvm/ADT/Twine.h>
#include <llvm/Support/Format.h>
#include <llvm/Support/raw_ostream.h>

#include <cmath>

namespace streamattn {
namespace {

constexpr std::string_view clear_line = "\r\x1b[K";
// A line that wrapped could not be rewritten.
constexpr std::string_view wrap_off = "\x1b[?7l";
constexpr std::string_view wrap_on = "\x1b[?7h";

void append_time(llvm::raw_ostream& out, double seconds) {
  const auto whole = std::llround(seconds);
  if (whole >= 3600) {
    out << llvm::format("%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
  } else {
    out << llvm::format("%lld:%02lld", whole / 60, whole % 60);
  }
}

}  // namespace

std::string progress_line(std::string_view title, std::int64_t done, std::int64_t total,
                          std::chrono::duration<double> elapsed, std::string_view note) {
  std::string line;
  llvm::raw_string_ostream out(line);
  out << title << ' ' << done;
  if (total > 0) {
    out << '/' << total << " (" << 100 * done / total << "%)";
    if (done > 0 && done < total) {
      out << ", eta ";
      append_time(out,
                  elapsed.count() / static_cast<double>(done) * static_cast<double>(total - done));
    }
  }
  if (!note.empty()) out << ": " << note;
  return out.str();
}

Progress::Progress(std::string title, std::int64_t total, Output output)
    : title_(std::move(title)),
      total_(total),
      output_(output),
      is_terminal_(output.is_terminal ? *output.is_terminal : ::isatty(output.fd) == 1),
      begin_(Clock::now()),
      printed_(begin_) {}

Progress::~Progress() {
  if (dirty_) print(std::string(clear_line));
}

void Progress::update(std::int64_t done, std::string_view note) {
  const std::lock_guard lock(mutex_);
  const Clock::time_point now = Clock::now();
  const auto interval = is_terminal_ ? output_.terminal_interval : output_.plain_interval;
  // The first terminal line appears after one interval too: quick work shows nothing at all.
  if (now - printed_ < interval) return;
  printed_ = now;
  const std::string line = progress_line(title_, done, total_, now - begin_, note);
  print(is_terminal_ ? (llvm::Twine(clear_line) + wrap_off + line + wrap_on).str() : line + "\n");
  dirty_ = is_terminal_;
}

void Progress::print(const std::string& text) {
  // Nobody is told if the descriptor is gone.
  [[maybe_unused]] const ssize_t written = ::write(output_.fd, text.data(), text.size());
}

}  // namespace streamattn

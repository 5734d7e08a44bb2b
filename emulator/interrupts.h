// Device code that would never return: endless loops, division by zero, stray pointers.
#pragma once

#include <signal.h>
#include <time.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

namespace streamattn::emulator {

/// How a thread of the machine was stopped in the middle of a slice.
struct Interruption {
  enum Kind { none, time, arithmetic, memory } kind = none;
  const void* address = nullptr;  // that was touched

  explicit operator bool() const { return kind != none; }
};

/// While one lives, signals that device code of the calling operating system thread raises end the
/// slice instead of the process, and so does a slice that takes more than `seconds` of its time.
/// Signals of all other code go where they went before.
class Interrupts {
 public:
  explicit Interrupts(double seconds);
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;
  ~Interrupts();

  /// The code that may be stopped.
  void set_code(std::span<const char> code) { code_ = code; }

  /// A slice begins; `leave` gives control back to whoever began it, and never returns.
  void begin_slice(const std::function<void()>& leave);

  /// How the slice was interrupted, if it was.
  Interruption end_slice();

 private:
  static void on_signal(int signal, siginfo_t* info, void* context);
  bool is_over_time();

  std::span<const char> code_;
  std::function<void()> leave_;
  Interruption interruption_;
  bool in_slice_ = false;
  std::uint64_t slice_ = 0, slice_at_tick_ = 0;
  int ticks_ = 0;  // that this slice has seen
  std::optional<timer_t> timer_;
  Interrupts* outer_;
};

}  // namespace streamattn::emulator

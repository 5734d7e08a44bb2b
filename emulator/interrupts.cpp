// Signal handlers and the timer behind them.
#include "emulator/interrupts.h"

#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <mutex>

namespace streamattn::emulator {
namespace {

constexpr std::array signals = {SIGSEGV, SIGBUS, SIGFPE, SIGVTALRM};
constexpr int ticks_of_limit = 4;

thread_local Interrupts* current = nullptr;

// Handlers are the process's; the first emulation installs them and the last one puts the old back.
std::mutex mutex;
int users = 0;
std::array<struct sigaction, signals.size()> previous;

const char* interrupted_at(void* context) {
  return reinterpret_cast<const char*>(
      static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
}

Interruption::Kind kind_of(int signal) {
  return signal == SIGVTALRM ? Interruption::time
         : signal == SIGFPE  ? Interruption::arithmetic
                             : Interruption::memory;
}

void install(void (*handler)(int, siginfo_t*, void*)) {
  const std::lock_guard lock(mutex);
  if (users++ > 0) return;
  struct sigaction action = {};
  action.sa_sigaction = handler;
  // The handler leaves by switching fibers, so the signal must not stay blocked.
  action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART;
  for (std::size_t i = 0; i < signals.size(); i++) sigaction(signals[i], &action, &previous[i]);
}

void uninstall() {
  const std::lock_guard lock(mutex);
  if (--users > 0) return;
  for (std::size_t i = 0; i < signals.size(); i++) sigaction(signals[i], &previous[i], nullptr);
}

}  // namespace

Interrupts::Interrupts(double seconds) : outer_(current) {
  current = this;
  install(on_signal);
  sigevent event = {};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = SIGVTALRM;
  event._sigev_un._tid = gettid();
  // Without a timer there is no limit; nothing else depends on it.
  timer_t timer;
  if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer) != 0) return;
  timer_ = timer;
  const auto tick = static_cast<long>(seconds * 1e9 / ticks_of_limit);
  itimerspec interval = {};
  interval.it_interval = {tick / 1'000'000'000, tick % 1'000'000'000};
  interval.it_value = interval.it_interval;
  timer_settime(timer, 0, &interval, nullptr);
}

Interrupts::~Interrupts() {
  if (timer_) timer_delete(*timer_);
  uninstall();
  current = outer_;
}

void Interrupts::begin_slice(const std::function<void()>& leave) {
  leave_ = leave;
  interruption_ = {};
  slice_++;
  in_slice_ = true;
}

Interruption Interrupts::end_slice() {
  in_slice_ = false;
  return interruption_;
}

bool Interrupts::is_over_time() {
  ticks_ = slice_ == slice_at_tick_ ? ticks_ + 1 : 0;
  slice_at_tick_ = slice_;
  return ticks_ >= ticks_of_limit;
}

// Device code holds no lock and owns no memory, so it can be left anywhere; code of the emulator
// that it calls cannot.
void Interrupts::on_signal(int signal, siginfo_t* info, void* context) {
  Interrupts* self = current;
  const bool timed = signal == SIGVTALRM;
  if (timed && (self == nullptr || !self->is_over_time())) return;
  if (self != nullptr && self->in_slice_) {
    const char* at = interrupted_at(context);
    if (at >= self->code_.data() && at < self->code_.data() + self->code_.size()) {
      self->interruption_ = {kind_of(signal), info->si_addr};
      self->leave_();
    }
  }
  if (timed) return;
  for (std::size_t i = 0; i < signals.size(); i++)
    if (signals[i] == signal) sigaction(signal, &previous[i], nullptr);
}

}  // namespace streamattn::emulator

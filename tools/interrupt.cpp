// Handles SIGINT and SIGTERM.
#include "tools/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace streamattn {
namespace {

std::atomic<bool> interrupted = false;
struct sigaction before_int, before_term;

void on_signal(int number) {
  if (interrupted.exchange(true)) ::_exit(128 + number);
}

}  // namespace

InterruptScope::InterruptScope() {
  interrupted = false;
  struct sigaction action = {};
  action.sa_handler = on_signal;
  ::sigaction(SIGINT, &action, &before_int);
  ::sigaction(SIGTERM, &action, &before_term);
}

InterruptScope::~InterruptScope() {
  ::sigaction(SIGINT, &before_int, nullptr);
  ::sigaction(SIGTERM, &before_term, nullptr);
}

bool InterruptScope::is_interrupted() { return interrupted; }

}  // namespace streamattn

// Ctrl-C while something long runs: the first asks it to end in good order, the second ends it.
#pragma once

namespace streamattn {

/// Takes SIGINT and SIGTERM while it lives. Only one may live at a time.
class InterruptScope {
 public:
  InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;
  ~InterruptScope();

  /// Whether somebody wants the end.
  static bool is_interrupted();
};

}  // namespace streamattn

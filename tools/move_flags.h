// The flags of operations that move rows: how append turns them, of how many shares merge makes
// one.
#pragma once

#include <cstdint>
#include <optional>

#include "measure/append_case.h"
#include "measure/merge_case.h"
#include "tools/flags.h"

namespace streamattn {

/// A style's name. Throws Error (invalid_config).
void read_value(llvm::StringRef flag, llvm::StringRef text, RopeStyle& value);

class MoveFlags {
 public:
  /// Adds --rope and its like, and --shares; `this` must outlive parsing.
  void add_to(Flags& flags);

  /// Throws Error (invalid_config) where flags of another operation than `operation` are given, or
  /// contradict each other.
  void require_fit(Operation operation) const;

  /// The call that makes, or merges, what `call` says.
  AppendCase append(const ForwardCase& call) const;
  MergeCase merge(const ForwardCase& call) const;

 private:
  std::optional<RopeStyle> rope_;
  std::optional<int> dim_;
  std::optional<double> theta_, factor_;
  bool tables_ = false;
  std::optional<std::int64_t> shares_;
};

/// Bytes that a call reads and writes: rows of K, V and Q and where they go; shares and what they
/// become.
double moved_bytes(const AppendCase& call);
double moved_bytes(const MergeCase& call);

/// 10^9 bytes per second.
inline double gigabytes_per_second(double bytes, double milliseconds) {
  return bytes / (milliseconds * 1e6);
}

}  // namespace streamattn

// One append call as tools and tests write it down, and its tensors.
#pragma once

#include <string>

#include "measure/forward_case.h"
#include "streamattn/append.h"

namespace streamattn {

/// A call. Memory comes from AppendTensors.
struct AppendCase {
  ForwardCase forward = {};  ///< that reads the cache: its queries are as many as the new rows
  Rope rope = {};            ///< but for tables
  bool with_tables = false;  ///< sines and cosines are given, for the positions of the cache
  bool with_queries = true;  ///< q is turned, too

  std::string describe() const;
};

/// The tensors of a case on the host: random new rows and queries, a cache and turned queries full
/// of poison.
struct AppendTensors {
  explicit AppendTensors(const AppendCase& given);

  /// The arguments of the case with these tensors. They point into this.
  AppendArgs args() const;

  SequenceInputs sequences;
  HostTensor new_k, new_v, q, k, v, rotated_q, cos, sin;

 private:
  AppendArgs launch_;  // all but the tensors
};

}  // namespace streamattn

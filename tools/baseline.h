// Peers' figures read from a file, to print beside ours.
#pragma once

#include <llvm/Support/JSON.h>
#include <optional>

#include <string>
#include <vector>

#include "tools/problem_flags.h"

namespace streamattn {

/// A peer's TFLOP/s for one call.
struct PeerFigure {
  std::string peer;  ///< "fa3", "cudnn", ...; "best" is the one to be measured against
  double tflops = 0;
};

/// Forward figures of peers: a JSON object whose "fwd" is an array of rows such as
///   {"d": 128, "causal": true, "s": 4096, "b": 4, "h": 16, "best": 624.7, "cudnn": 480.8}
/// for bf16 tensors in [batch, seq, heads, dim] order. Every other number of a row is a peer.
class Baseline {
 public:
  /// Throws Error (invalid_config) for a file that cannot be read or has another form.
  static Baseline load(const std::string& path);

  /// What the file has for `call`: "best" first; empty if it has no such row.
  std::vector<PeerFigure> find(const ForwardCase& call) const;

 private:
  struct Row {
    Operation operation;
    int head_dim;
    bool causal;
    std::int64_t seq, batch, heads;
    std::vector<PeerFigure> figures;
  };
  void add(const std::string& path, const llvm::json::Array& rows, const std::string& name,
           Operation operation);

  std::vector<Row> rows_;
};

}  // namespace streamattn

// One forward call as tools and tests write it down, and its tensors.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "measure/host_tensor.h"
#include "measure/named_inputs.h"
#include "measure/sequence_inputs.h"
#include "streamattn/forward.h"

namespace streamattn {

/// A call. Memory comes from ForwardTensors.
struct ForwardCase {
  Problem problem = {};
  Shape shape = {};
  SequenceLengths lengths = {};  ///< of problems whose sequences differ; the shape has the longest
  Layout layout = Layout::bshd;  ///< of every tensor, and of pages
  std::int64_t gap = 0;          ///< elements between the rows of every tensor
  Distribution distribution = Distribution::normal;
  std::uint64_t seed = 1;
  std::optional<float> scale = {};
  std::optional<std::int64_t> q_offset = {};
  std::int64_t k_offset = 0;
  std::optional<Rows> q_rows = {}, kv_rows = {};
  Dropout dropout = {};  ///< of problems with dropout
  int max_sms = 0;
  bool with_lse = true;
  std::vector<NamedNumber> scalars = {};  ///< that the problem names
  std::vector<NamedInput> tensors = {};   ///< what named tensors hold, where not as by default
  Operation operation =
      Operation::forward;  ///< what tools do with it; `backward` goes back through

  std::int64_t heads() const { return shape.kv_heads * problem.group_size; }

  std::string describe() const;
};

/// The named scalars and tensors of a case, on the host.
NamedInputs named_inputs(const ForwardCase& given);

/// The tensors of a case on the host: random q, k and v with poison in rows that are no sequence's,
/// poisoned o and lse, and those that the problem names.
struct ForwardTensors {
  explicit ForwardTensors(const ForwardCase& given);

  /// The arguments of the case with these tensors. They point into this.
  ForwardArgs args() const;

  SequenceInputs sequences;
  HostTensor q, k, v, o, lse;
  NamedInputs named;

 private:
  ForwardArgs launch_;  // all but the tensors
  bool with_lse_;
};

}  // namespace streamattn

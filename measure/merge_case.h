// One merge call as tools and tests write it down, and its tensors.
#pragma once

#include <string>

#include "measure/forward_case.h"
#include "measure/operands.h"
#include "streamattn/merge.h"

namespace streamattn {

/// A call. Memory comes from MergeTensors.
struct MergeCase {
  ForwardCase forward = {};  ///< whose results are merged; its shares have out_dtype
  std::int64_t shares = 2;
  std::optional<DType> merged_dtype = {};  ///< of o; the problem's out_dtype where not given

  std::string describe() const;
};

/// The tensors of a case on the host: random shares of which some rows have no keys, with poison
/// for their O, and poisoned outputs.
struct MergeTensors {
  explicit MergeTensors(const MergeCase& given);

  /// The arguments of the case with these tensors. They point into this.
  MergeArgs args() const;

  HostTensor share_o, share_lse, o, lse;

 private:
  int max_sms_;
};

/// How right a merge is, against float64.
struct MergeAccuracy {
  std::int64_t rows = 0;
  double o = 0;            ///< the largest error of a column, over what is allowed
  double lse = 0;          ///< the largest error of an LSE, over what is allowed
  bool untouched = false;  ///< nothing but the rows was written

  bool ok() const { return o <= 1 && lse <= 1 && untouched; }
};

/// Checks the outputs in `tensors` after a launch. Allowed are half a unit in the last place of O
/// and 2^-17 of the largest share's column; 2^-20 of the largest LSE, or of 1, for an LSE: what
/// float32 leaves of differences of logarithms, and approximate exp2 and log2.
MergeAccuracy check_merge_result(const MergeTensors& tensors);

/// The copy of a case's tensors in a workbench's memory.
class MergeOperands {
 public:
  /// Uploads all of them.
  MergeOperands(const MergeTensors& tensors, Workbench& bench);
  MergeOperands(MergeOperands&&) = default;

  /// The launch of `kernel` on these tensors. Must not outlive the operands and the kernel.
  Enqueue launch_of(const MergeKernel& kernel) const {
    return [&kernel, this](Stream stream) { kernel.launch(args_, stream); };
  }

  /// Overwrites o and lse of `tensors`, of the same case, with what is here.
  void download_outputs(MergeTensors& tensors) const;

 private:
  Workbench& bench_;
  Memory share_o_, share_lse_, o_, lse_;
  MergeArgs args_;
};

/// Runs `kernel` once on the tensors of a case, in memory of `bench`, and fills in o and lse.
void run_once(const MergeKernel& kernel, MergeTensors& tensors, Workbench& bench);

}  // namespace streamattn

// Launches of the kernels that compute gradients of named tensors.
#include <llvm/ADT/STLExtras.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "compiler/families/backward_wgmma/backward_wgmma.h"
#include "compiler/families/launch_params.h"

namespace streamattn {
namespace {

// The order of sums does not depend on the device: so many blocks keep any busy, where the call may
// use all of it, and copies for shares of the work take so much memory at most, where there is more
// than one.
constexpr std::int64_t blocks_of_multiprocessor = 8, all_multiprocessors = 128,
                       most_copy_bytes = std::int64_t{64} << 20;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

PairCounts pair_counts(const ForwardCall& call) {
  return {static_cast<int>(call.batch()), static_cast<int>(call.heads()),
          static_cast<int>(ceil_div(call.q_len(), ElementTiling::tile))};
}

/// The tensor's sizes, and the strides of a dense one.
NamedTensor dense(const NamedTensor& tensor, int rank, float* data) {
  NamedTensor copy{.data = data, .strides = {}, .sizes = {}};
  long long stride = 1;
  for (int d = rank - 1; d >= 0; d--) {
    copy.sizes[d] = tensor.sizes[d];
    copy.strides[d] = stride;
    stride *= tensor.sizes[d];
  }
  return copy;
}

std::int64_t count_of(const NamedTensor& tensor, int rank) {
  return std::accumulate(tensor.sizes, tensor.sizes + rank, std::int64_t{1}, std::multiplies<>());
}

int shares_of(PairCounts counts, PairCounts units, std::int64_t elements, int max_sms) {
  const std::int64_t multiprocessors = max_sms > 0 ? max_sms : all_multiprocessors;
  const std::int64_t wanted = ceil_div(multiprocessors * blocks_of_multiprocessor, units.all());
  const std::int64_t fit = std::max<std::int64_t>(most_copy_bytes / (elements * 4), 1);
  return static_cast<int>(std::min<std::int64_t>({wanted, fit, counts.all() / units.all()}));
}

class ElementPlan {
 public:
  ElementPlan(const Problem& problem, const BackwardCall& call, const StatisticsParams& statistics,
              const DeviceFacts& device, WorkspaceSlices& workspace, Plan& steps)
      : problem_(problem),
        call_(call),
        statistics_(statistics),
        device_(device),
        workspace_(workspace),
        steps_(steps),
        kernels_(element_kernels(problem)),
        sum_copies_(backward_kernels(problem)) {}

  void add(int tensor) {
    const NamedTensor& named = call_.forward.named.tensors[tensor];
    const int rank = call_.gradients[tensor].rank;
    const std::int64_t elements = count_of(named, rank);
    if (elements == 0) return;
    const PairCounts counts = pair_counts(call_.forward);
    const PairCounts units = element_owners(problem_, tensor).units(counts, problem_.group_size);
    ElementSumParams sums = {.copy = {}, .elements = elements, .counts = counts, .shares = 0};
    const bool has_work = counts.all() > 0 && llvm::any_of(kernels_, [&](const ElementKernel& k) {
                            return k.tensor == tensor;
                          });
    if (has_work) {
      sums.shares = shares_of(counts, units, elements, call_.forward.max_sms);
      float* const copies =
          workspace_.take<float>("sums of a named tensor", sums.shares * elements);
      sums.copy = dense(named, rank, copies);
      steps_.emplace_back(Clear{copies, sums.shares * elements * sizeof(float)});
      const std::int64_t blocks = checked_int(units.all() * sums.shares, "shares of a gradient");
      for (std::size_t i = 0; i < kernels_.size(); i++)
        if (kernels_[i].tensor == tensor) launch(sum_copies_ + 1 + i, kernels_[i], blocks, sums);
    }
    sum(tensor, sums);
  }

 private:
  void launch(std::size_t index, ElementKernel kernel, std::int64_t blocks,
              const ElementSumParams& sums) {
    const SequenceParams sequence = sequence_params(call_.forward);
    const ScoreParams score = score_params(call_.forward);
    const BatchParams batch = packed_batch(call_.forward);
    if (kernel.is_of_sink)
      add_launch(steps_, index, blocks, SinkParams{statistics_, sequence, score, sums, batch});
    else
      add_launch(steps_, index, blocks,
                 ElementParams{.q = map("tensor map of q", call_.forward.q, call_.forward.q_len()),
                               .d_o = map("tensor map of d_o", call_.d_o, call_.forward.q_len()),
                               .k = map("tensor map of k", call_.forward.k, call_.forward.kv_len()),
                               .v = map("tensor map of v", call_.forward.v, call_.forward.kv_len()),
                               .statistics = statistics_,
                               .sequence = sequence,
                               .score = score,
                               .sums = sums,
                               .key_tiles = static_cast<int>(
                                   ceil_div(call_.forward.kv_len(), ElementTiling::tile)),
                               .dropout = dropout_params(call_.forward.dropout),
                               .batch = batch});
  }

  TensorMap map(const char* name, const Tensor& tensor, std::int64_t longest) const {
    return device_.encode(name, boxed_rows(call_.forward, tensor, ElementTiling::tile, longest,
                                           call_.forward.q.data));
  }

  void sum(int tensor, const ElementSumParams& sums) {
    const NamedGradient& gradient = call_.gradients[tensor];
    NamedTensor to = call_.forward.named.tensors[tensor];
    to.data = gradient.data;
    std::copy(gradient.strides.begin(), gradient.strides.end(), to.strides);
    constexpr std::int64_t most_blocks = 1 << 16;
    add_launch(steps_, sum_copies_,
               std::min(ceil_div(sums.elements, sum_copies_threads), most_blocks),
               SumCopiesParams{.copies = static_cast<const float*>(sums.copy.data),
                               .count = sums.shares,
                               .elements = sums.elements,
                               .to = to,
                               .accumulate = call_.accumulate});
  }

  const Problem& problem_;
  const BackwardCall& call_;
  const StatisticsParams& statistics_;
  const DeviceFacts& device_;
  WorkspaceSlices& workspace_;
  Plan& steps_;
  std::vector<ElementKernel> kernels_;
  std::size_t sum_copies_;  // in the program; those of kernels_ follow
};

}  // namespace

void plan_element_gradients(const Problem& problem, const BackwardCall& call,
                            const StatisticsParams& statistics, const DeviceFacts& device,
                            WorkspaceSlices& workspace, Plan& steps) {
  if (llvm::none_of(call.gradients, [](const NamedGradient& g) { return g.rank > 0; })) return;
  ElementPlan plan(problem, call, statistics, device, workspace, steps);
  for (int tensor = 0; tensor < static_cast<int>(call.gradients.size()); tensor++)
    if (call.gradients[tensor].rank > 0) plan.add(tensor);
}

}  // namespace streamattn

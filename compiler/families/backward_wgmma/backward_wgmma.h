// The backward family of Hopper: templates/backward/backward_wgmma.cuh.
#pragma once

#include "compiler/families/family.h"
#include "templates/backward/element_params.h"

namespace streamattn {

/// The knobs of the family.
struct BackwardSchedule {
  static constexpr std::string_view family = "backward_wgmma";

  int tile_q = 0;            ///< queries that a block visits at a time, 64 or 128
  int loader_registers = 0;  ///< of a thread that loads, or adds dQ up
  int dq_registers = 0;      ///< of a thread that computes dQ
  int math_registers = 0;    ///< of a thread that computes dK and dV
  int section_heads = 0;     ///< key-value heads that share the L2; 0: by shape

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visit) {
    visit("tile_q", self.tile_q, KnobUse::compiled);
    visit("loader_registers", self.loader_registers, KnobUse::compiled);
    visit("dq_registers", self.dq_registers, KnobUse::compiled);
    visit("math_registers", self.math_registers, KnobUse::compiled);
    visit("section_heads", self.section_heads, KnobUse::launch);
  }
};

Family backward_wgmma_family();

// What the family answers with; see Family.
Program backward_emit(const Problem& problem, const Schedule& schedule, const Target& target);
Plan backward_plan(const Problem& problem, const Schedule& schedule, const ResolvedCall& call,
                   const DeviceFacts& device, WorkspaceSlices& workspace);

/// Tiles and shared memory of the main kernel.
BackwardTiling backward_tiling(const Problem& problem,
                               const BackwardSchedule& schedule = {.tile_q = 64});

/// How the order of key tiles is cut: sections of so many key-value heads (of batch * kv_heads)
/// share the L2; the first `climbing` ones are walked from the last key tile to the first, each
/// from its first query tile on.
struct BackwardSections {
  int heads, climbing;
};

/// Those of a shape on so many multiprocessors with an L2 of `l2_bytes`.
BackwardSections backward_sections(const Problem& problem, const BackwardSchedule& schedule,
                                   const Shape& shape, int multiprocessors, std::int64_t l2_bytes);

/// Packed sequences that begin within so many rows are worked on together: their queries are what
/// the L2 has room for, of one head.
int backward_group_rows(const Problem& problem, std::int64_t l2_bytes);

/// How the last `cut` key tiles of the order are cut: into `parts` work items each, of `part_tiles`
/// query tiles.
struct BackwardCut {
  int cut = 0, parts = 1, part_tiles = 0;
};

/// The cut of `key_tiles` key tiles, of all heads, for `blocks` blocks that draw them; each has
/// `query_tiles` query tiles to visit for `group_size` heads. Without a mask that is what full
/// rounds leave over; with one, under which visits differ, all where there is less than a round.
BackwardCut backward_cut(std::int64_t key_tiles, std::int64_t query_tiles, int group_size,
                         int blocks, bool is_masked);

/// A kernel of a program that adds to the gradient of a named tensor what the score, or the sink,
/// takes of it.
struct ElementKernel {
  int tensor;  ///< in the order of ExprNames
  bool is_of_sink;
};

/// Whether walks go by bits of tiles that two more kernels write: data decide the mask. Of packed
/// sequences they go by what the mask alone tells.
bool walks_by_bits(const Problem& problem);

/// How many kernels a program begins with. Those for gradients of named tensors follow: sum_copies,
/// which makes gradients of what the others have added up, and these.
std::size_t backward_kernels(const Problem& problem);
std::vector<ElementKernel> element_kernels(const Problem& problem);

/// By what the elements of a tensor differ.
ElementOwners element_owners(const Problem& problem, int tensor);

/// The sources for gradients of named tensors; none of a problem that names no tensor of reals.
Program element_sources(const Problem& problem, const BackwardSchedule& schedule,
                        const Target& target);

/// Where the sequences of a call lie; unset where they do not differ.
BatchParams packed_batch(const ForwardCall& call);

/// The map of rows of queries or of keys of a call, of which a sequence has `longest` at most.
BoxedTensor boxed_rows(const ForwardCall& call, const Tensor& tensor, int rows,
                       std::int64_t longest, void* anywhere);

/// Adds their launches for the gradients that a call wants; `statistics` are those of its rows.
void plan_element_gradients(const Problem& problem, const BackwardCall& call,
                            const StatisticsParams& statistics, const DeviceFacts& device,
                            WorkspaceSlices& workspace, Plan& steps);

/// What of a Spec says how packed sequences lie, and the rows of tiles that have a place in what
/// the kernels share; empty where sequences do not differ.
std::string packed_tiles_text(const Problem& problem, const BackwardSchedule& schedule);

/// How source texts begin, and the kernel at their end.
std::string backward_header(const Target& target);
std::string backward_kernel(int threads, const char* bounds, const char* name,
                            const char* parameters);

/// Threads of a block of the kernels: row sums, main, clearing, sums of parts, tiles seen,
/// gradients of sinks, sums of copies.
inline constexpr int backward_sum_threads = 256, backward_threads = 512,
                     backward_clear_threads = 256, sum_parts_threads = 256,
                     seen_tiles_threads = 1024, sink_threads = 32, sum_copies_threads = 256;

}  // namespace streamattn

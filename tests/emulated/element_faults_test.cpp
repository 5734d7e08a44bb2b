// Faults planted in the kernels that compute gradients of named tensors.
#include "tests/emulated/emulated_case.h"
#include "tests/support/catch.h"

using namespace streamattn;

namespace {

constexpr const char *pairs = "backward/element_gradients.cuh", *sums = "backward/element_sums.cuh",
                     *rows = "backward/sink_gradients.cuh", *copies = "backward/sum_copies.cuh";

constexpr const char *capped = "backward_wgmma_bf16_d64_causal_softcap_sink",
                     *sloped = "backward_wgmma_bf16_d64_causal_alibi",
                     *biased = "backward_wgmma_bf16_d64_bias",
                     *relative = "backward_wgmma_bf16_d64_causal_relative";

constexpr Shape small = {2, 1, 150, 200};

}  // namespace

TEST_CASE("additions to elements that nothing orders are named") {
  check_caught({
      {"warps do not take turns",
       relative,
       {pairs, "        __syncthreads();\n      }", "      }"},
       "release and acquire or dependency_wait orders the write before this",
       small},
      {"lanes of a warp do not meet",
       relative,
       {sums, "  __syncwarp();\n", ""},
       "release and acquire or dependency_wait orders the write before this",
       small},
      {"every lane of an element adds the sum",
       relative,
       {sums, "adds = adds && others == (peers & ~(1u << lane));", "adds = adds && true;"},
       "release and acquire or dependency_wait orders the write before this",
       small},
      {"keys are overwritten while threads still read their products",
       sloped,
       {pairs, "      add(walk, totals);\n      __syncthreads();", "      add(walk, totals);"},
       "shared address",
       small},
      {"no wait for the products",
       sloped,
       {pairs, "    wgmma_wait<0>();\n", ""},
       "uses accumulators of the wgmma",
       small},
      {"keys that do not exist are added to the last one",
       biased,
       {pairs, "row < walk.sequence.kv_len && ", ""},
       "release and acquire or dependency_wait orders the write before this",
       small},
      {"shares in one copy",
       relative,
       {sums, "(float*)p.copy.data + share * p.elements", "(float*)p.copy.data"},
       "sums of a named tensor",
       small},
  });
}

TEST_CASE("wrong gradients of tensors are noticed") {
  check_caught({
      {"a share that ends early",
       sloped,
       {sums, "end = part.all() * (share + 1) / p.shares;", "end = part.all() * share / p.shares;"},
       "wrong result",
       small},
      {"lanes that share an element are not added up",
       relative,
       {sums, "      if (others) value += other;\n", ""},
       "wrong result",
       small},
      {"the slope of another key",
       sloped,
       {pairs, "product, q, k, column), sum)", "product, q, 2 * k, column), sum)"},
       "wrong result",
       small},
      {"pairs in the place of others",
       relative,
       {pairs, "product.z, x.z, q, 1)", "product.z, x.z, q, 0)"},
       "wrong result",
       small},
      {"hidden keys have gradients",
       sloped,
       {pairs, " || !score.keeps(q + column, k, 0)", ""},
       "wrong result",
       small},
      {"a sink that gains where rows do",
       capped,
       {rows, "weight * load_global", "-weight * load_global"},
       "wrong result",
       small},
      {"the first copy alone",
       sloped,
       {copies, "copy < params.count", "copy < 1"},
       "wrong result",
       small},
  });
}

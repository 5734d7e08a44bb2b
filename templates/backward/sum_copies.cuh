// The gradient of a named tensor from the copies in which shares of the work were added up.
#pragma once

#include "backward/element_params.h"
#include "ptx/global.cuh"
#include "ptx/types.cuh"

namespace streamattn {

/// What sum_copies asks of its Spec: threads of a block.
template <class Spec>
struct SumCopies {
  const SumCopiesParams& params;

  SA_DEVICE void run() const {
    long long threads = (long long)gridDim.x * Spec::threads;
#pragma unroll 1
    for (long long i = (long long)blockIdx.x * Spec::threads + threadIdx.x; i < params.elements;
         i += threads)
      finish(i);
  }

 private:
  SA_DEVICE void finish(long long element) const {
    float* to = (float*)params.to.data + place(element);
    float sum = params.accumulate ? load_global(to) : 0;
#pragma unroll 1
    for (int copy = 0; copy < params.count; copy++)
      sum += load_global(params.copies + copy * params.elements + element);
    store_global(to, sum);
  }

  // Behind the last dimension sizes are 0.
  SA_DEVICE long long place(long long element) const {
    long long at = 0;
#pragma unroll
    for (int d = 3; d >= 0; d--) {
      int size = max(params.to.sizes[d], 1);
      at += element % size * params.to.strides[d];
      element /= size;
    }
    return at;
  }
};

/// The kernel.
template <class Spec>
SA_DEVICE void sum_copies(const SumCopiesParams& params) {
  static_assert(requires { Spec::threads + 0; }, "Spec needs an int threads");
  SumCopies<Spec>{params}.run();
}

}  // namespace streamattn

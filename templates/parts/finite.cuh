// What is not finite among 16-bit values: a weight of zero times NaN is NaN.
#pragma once

#include "ptx/math.cuh"

namespace streamattn {

/// For both halves of a pair: no bit where it is finite, all but the sign where it is not.
template <class Element>
SA_DEVICE u32 times_zero(Element e, u32 pair) {
  return fma_pair(e, pair, 0, 0);
}

/// The same for eight values: no bit where all are finite.
template <class Element>
SA_DEVICE u32 times_zero(Element e, int4 v) {
  return times_zero(e, u32(v.x)) | times_zero(e, u32(v.y)) | times_zero(e, u32(v.z)) |
         times_zero(e, u32(v.w));
}

/// The pair, or eight values, with zeros in the place of what is not finite.
template <class Element>
SA_DEVICE int finite_of(Element e, int pair) {
  u32 products = times_zero(e, u32(pair));
  return pair & ~(products & 0xFFFF ? 0xFFFF : 0) & ~(products >> 16 ? 0xFFFF0000 : 0);
}
template <class Element>
SA_DEVICE int4 finite_of(Element e, int4 v) {
  return make_int4(finite_of(e, v.x), finite_of(e, v.y), finite_of(e, v.z), finite_of(e, v.w));
}

}  // namespace streamattn

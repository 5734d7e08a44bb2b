// Statistics of query rows in the order in which threads of a transposed tile take them.
#pragma once

#include "ptx/math.cuh"
#include "ptx/shared.cuh"

namespace streamattn {

/// Place of row `row` of a tile: those of 16 rows that a lane's four columns of two eights are
/// follow each other, so that one load of 16 bytes has them all.
SA_DEVICE int statistic_place(int row) {
  return row / 16 * 16 + row % 8 / 2 * 4 + row / 8 % 2 * 2 + row % 2;
}

/// The values of a lane's columns in 16 of a transposed tile, where columns are query rows.
struct LaneStatistics {
  float values[4];

  /// `address`, shared, is that of the tile's statistics.
  SA_DEVICE LaneStatistics(u32 address, int sixteen, int lane) {
    int4 found = load_shared(address + sixteen * 64 + lane % 4 * 16);
    values[0] = __int_as_float(found.x), values[1] = __int_as_float(found.y);
    values[2] = __int_as_float(found.z), values[3] = __int_as_float(found.w);
  }

  /// Of register i of the eight that a thread has of these 16 columns.
  SA_DEVICE float of(int i) const { return values[i / 4 * 2 + i % 2]; }
};

/// Every accumulator of a transposed tile as the statistic of its column.
template <int N>
SA_DEVICE void load_statistics(float (&tile)[N], u32 address, int lane) {
#pragma unroll
  for (int sixteen = 0; sixteen < N / 8; sixteen++) {
    LaneStatistics statistics(address, sixteen, lane);
#pragma unroll
    for (int i = 0; i < 8; i++) tile[8 * sixteen + i] = statistics.of(i);
  }
}

}  // namespace streamattn

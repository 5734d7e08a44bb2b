// What the card's matrix units reach in a plain product: the measure of every attention kernel.
#pragma once

#include <optional>
#include <string>

#include "measure/workbench.h"

namespace streamattn {

struct GemmRate {
  double tflops = 0;
  std::string origin;  ///< how the figure came about
};

/// The sustained bf16 GEMM rate of the GPU behind `gpu`: measured where cuBLAS can be opened, else
/// the figure on record for a device of that name, if any.
std::optional<GemmRate> bf16_gemm_rate(Workbench& gpu);

}  // namespace streamattn

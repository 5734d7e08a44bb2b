// The check of what a forward call on host tensors gave.
#pragma once

#include "measure/accuracy.h"

namespace streamattn {

/// Fails the test unless all rows that `args` asks for are as exact as they must be and nothing but
/// these was written. Rows see keys by `visible`, or the problem's mask where that is empty.
void check_result(const Problem& problem, const ForwardArgs& args, const ForwardTensors& tensors,
                  const Visible& visible = {});

}  // namespace streamattn

// Tensor maps by the driver.
#pragma once

#include "compiler/tensor_map.h"
#include "templates/params.h"

namespace streamattn {

/// The map of `tensor`; `name` is for the message of an Error (launch_failed). A thread remembers
/// its last few hundred maps: the tensors of a model come round again and again, and encoding one
/// costs about a microsecond.
TensorMap tensor_map(const char* name, const BoxedTensor& tensor);

}  // namespace streamattn

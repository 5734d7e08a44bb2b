/* Compiled as strict C89: the header of the C entry points is C, and its structs start zeroed. */
#include "streamattn/c_api.h"

streamattn_status c89_create_on_cpu(streamattn_jit** jit);
void c89_name(streamattn_forward_args* args, const streamattn_named_scalar* window,
              streamattn_named_tensor* slope, const float* slopes, int heads);

streamattn_status c89_create_on_cpu(streamattn_jit** jit) {
  streamattn_jit_options options = {0};
  options.struct_size = sizeof options;
  options.target = "cpu";
  return streamattn_jit_create(&options, jit);
}

void c89_name(streamattn_forward_args* args, const streamattn_named_scalar* window,
              streamattn_named_tensor* slope, const float* slopes, int heads) {
  slope->name = "slope";
  slope->data = slopes;
  slope->dtype = STREAMATTN_F32;
  slope->rank = 1;
  slope->sizes[0] = heads;
  slope->strides[0] = 1;
  args->scalars = window;
  args->scalar_count = 1;
  args->tensors = slope;
  args->tensor_count = 1;
}

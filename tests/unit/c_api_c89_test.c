/* Compiled as strict C89: the header of the C entry points is C, and its structs start zeroed. */
#include "streamattn/c_api.h"

streamattn_status c89_create_on_cpu(streamattn_jit** jit);

streamattn_status c89_create_on_cpu(streamattn_jit** jit) {
  streamattn_jit_options options = {0};
  options.struct_size = sizeof options;
  options.target = "cpu";
  return streamattn_jit_create(&options, jit);
}

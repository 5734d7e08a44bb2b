/* The smallest use of the C entry points: a jit for the host, and an error with its message. */
#include <stdio.h>
#include <streamattn/c_api.h>
#include <string.h>

int main(void) {
  streamattn_jit_options options = {0};
  streamattn_jit* jit = NULL;
  options.struct_size = sizeof options;
  options.target = "cpu";
  if (streamattn_jit_create(&options, &jit) != STREAMATTN_OK) {
    puts(streamattn_last_error());
    return 1;
  }
  streamattn_jit_destroy(jit);
  options.target = "abacus";
  return streamattn_jit_create(&options, &jit) == STREAMATTN_INVALID_ARGUMENT &&
                 strstr(streamattn_last_error(), "abacus") != NULL
             ? 0
             : 1;
}

/* A libcuda whose health the variable FAKE_CUDA_HEALTH chooses at every call: healthy where it is
   unset, "stub", "old", "incomplete" or "no device". */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { success = 0, stub_library = 34, no_device = 100, not_found = 500 };

static int mode_is(const char* mode) {
  const char* chosen = getenv("FAKE_CUDA_HEALTH");
  return chosen && strcmp(chosen, mode) == 0;
}

int cuDriverGetVersion(int* version) {
  if (mode_is("stub")) return stub_library;
  *version = mode_is("old") ? 12020 : 13000;
  return success;
}

static int init(unsigned flags) {
  (void)flags;
  return mode_is("no device") ? no_device : success;
}

static int get_error_name(int error, const char** name) {
  if (error == 12345) return not_found;
  *name = "CUDA_ERROR_NAME";
  return success;
}

static int get_error_string(int error, const char** text) {
  if (error == 12345) return not_found;
  *text = "its description";
  return success;
}

static int accept(void) { return success; }

int cuGetProcAddress_v2(const char* symbol, void** entry, int cuda_version,
                        unsigned long long flags, int* status) {
  (void)flags;
  (void)status;
  if (cuda_version != 12040) return not_found;
  if (mode_is("incomplete") && strcmp(symbol, "cuFuncLoad") == 0) return not_found;
  if (strcmp(symbol, "cuInit") == 0) {
    *entry = (void*)init;
  } else if (strcmp(symbol, "cuDriverGetVersion") == 0) {
    *entry = (void*)cuDriverGetVersion;
  } else if (strcmp(symbol, "cuGetErrorName") == 0) {
    *entry = (void*)get_error_name;
  } else if (strcmp(symbol, "cuGetErrorString") == 0) {
    *entry = (void*)get_error_string;
  } else {
    *entry = (void*)accept;
  }
  return success;
}

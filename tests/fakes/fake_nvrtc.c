/* An NVRTC 13.0 that loads but compiles nothing. */
#include <stddef.h>

enum { success = 0, internal_error = 11 };

int nvrtcVersion(int* major, int* minor) {
  *major = 13;
  *minor = 0;
  return success;
}

int nvrtcGetNumSupportedArchs(int* count) {
  *count = 2;
  return success;
}

int nvrtcGetSupportedArchs(int* archs) {
  archs[0] = 80;
#ifdef WITHOUT_HOPPER
  archs[1] = 86;
#else
  archs[1] = 90;
#endif
  return success;
}

const char* nvrtcGetErrorString(int result) {
  (void)result;
  return "NVRTC_ERROR_INTERNAL_ERROR";
}

int nvrtcCreateProgram(void) { return internal_error; }
int nvrtcDestroyProgram(void) { return internal_error; }
int nvrtcCompileProgram(void) { return internal_error; }
int nvrtcGetProgramLogSize(void) { return internal_error; }
int nvrtcGetProgramLog(void) { return internal_error; }
int nvrtcGetCUBINSize(void) { return internal_error; }
#ifndef WITHOUT_CUBIN
int nvrtcGetCUBIN(void) { return internal_error; }
#endif

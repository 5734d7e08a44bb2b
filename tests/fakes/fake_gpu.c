/* A libcuda with two GPUs that load kernels and run none: an H200, and one that is too old. */
#include <elf.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct device {
  const char* name;
  int major_version;
} devices[] = {{"NVIDIA H200", 9}, {"NVIDIA A100", 8}};

enum { success = 0, out_of_memory = 2, invalid_image = 200, not_found = 500 };
/* Attributes of a device. */
enum { multiprocessors = 16, l2_bytes = 38, major_version = 75 };

/* A kernel that was found; kept for good, as the library keeps its own. */
struct kernel {
  const char* image; /* of the cubin, alive while it is loaded */
  char name[256];
};

/* The context of a thread, in memory that it has from the start. */
static _Thread_local const struct device* current __attribute__((tls_model("initial-exec")));

int cuDriverGetVersion(int* version) {
  *version = 13000;
  return success;
}

static int get_error_text(int error, const char** text) {
  (void)error;
  *text = "an error of the fake GPU";
  return success;
}

static int get_count(int* count) {
  *count = sizeof devices / sizeof devices[0];
  return success;
}

static int get_device(int* device, int ordinal) {
  *device = ordinal;
  return success;
}

static int get_name(char* name, int length, int device) {
  snprintf(name, (size_t)length, "%s", devices[device].name);
  return success;
}

static int get_attribute(int* value, int attribute, int device) {
  *value = attribute == multiprocessors ? 132
           : attribute == l2_bytes      ? 50 << 20
           : attribute == major_version ? devices[device].major_version
                                        : 0;
  return success;
}

static int retain_context(const struct device** context, int device) {
  *context = &devices[device];
  return success;
}

static int get_context(const struct device** context) {
  *context = current;
  return success;
}

static int push_context(const struct device* context) {
  current = context;
  return success;
}

static int pop_context(const struct device** context) {
  *context = current;
  current = NULL;
  return success;
}

static int load_library(const char** library, const char* image) {
  *library = image;
  return memcmp(image, ELFMAG, SELFMAG) == 0 ? success : invalid_image;
}

static int get_kernel(struct kernel** kernel, const char* library, const char* name) {
  *kernel = malloc(sizeof **kernel);
  if (*kernel == NULL) return out_of_memory;
  (*kernel)->image = library;
  snprintf((*kernel)->name, sizeof(*kernel)->name, "%s", name);
  return success;
}

/* The section of a kernel's attributes has one of each parameter: four bytes of its own, the last
   two of which say how many follow where the first is `is_long`, then twelve. The upper bits of the
   last four are the size. */
static int get_parameter(const struct kernel* kernel, size_t index, size_t* offset, size_t* bytes) {
  enum { is_long = 4, parameter = 0x17 };
  const Elf64_Ehdr* file = (const Elf64_Ehdr*)kernel->image;
  const Elf64_Shdr* sections = (const Elf64_Shdr*)(kernel->image + file->e_shoff);
  const char* names = kernel->image + sections[file->e_shstrndx].sh_offset;
  char wanted[300];
  (void)index;
  snprintf(wanted, sizeof wanted, ".nv.info.%s", kernel->name);
  for (int i = 0; i < file->e_shnum; i++) {
    if (strcmp(names + sections[i].sh_name, wanted) != 0) continue;
    const unsigned char* at = (const unsigned char*)kernel->image + sections[i].sh_offset;
    const unsigned char* end = at + sections[i].sh_size;
    for (; at < end; at += 4 + (at[0] == is_long ? at[2] + 256 * at[3] : 0)) {
      unsigned last = 0;
      if (at[0] != is_long || at[1] != parameter) continue;
      memcpy(&last, at + 12, sizeof last);
      *offset = 0;
      *bytes = last >> 18;
      return success;
    }
  }
  return not_found;
}

/* Addresses that nobody reads: of memory as far apart as what was asked for. */
static int allocate(unsigned long long* address, size_t bytes) {
  static _Atomic unsigned long long next = 1ULL << 40;
  *address = atomic_fetch_add(&next, (bytes + 511) / 512 * 512);
  return success;
}

static int accept(void) { return success; }

int cuGetProcAddress_v2(const char* symbol, void** entry, int cuda_version,
                        unsigned long long flags, int* status) {
  static const struct {
    const char* symbol;
    void* entry;
  } entries[] = {
      {"cuDriverGetVersion", (void*)cuDriverGetVersion},
      {"cuGetErrorName", (void*)get_error_text},
      {"cuGetErrorString", (void*)get_error_text},
      {"cuDeviceGetCount", (void*)get_count},
      {"cuDeviceGet", (void*)get_device},
      {"cuDeviceGetName", (void*)get_name},
      {"cuDeviceGetAttribute", (void*)get_attribute},
      {"cuDevicePrimaryCtxRetain", (void*)retain_context},
      {"cuCtxGetCurrent", (void*)get_context},
      {"cuCtxPushCurrent", (void*)push_context},
      {"cuCtxPopCurrent", (void*)pop_context},
      {"cuMemAlloc", (void*)allocate},
      {"cuLibraryLoadData", (void*)load_library},
      {"cuLibraryGetKernel", (void*)get_kernel},
      {"cuKernelGetParamInfo", (void*)get_parameter},
  };
  (void)cuda_version, (void)flags, (void)status;
  *entry = (void*)accept;
  for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++)
    if (strcmp(symbol, entries[i].symbol) == 0) *entry = entries[i].entry;
  return success;
}

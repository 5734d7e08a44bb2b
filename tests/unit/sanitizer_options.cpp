// What the tests ask of the sanitizers that they are built with.

// Looked up by name in the program, so the names must be visible.
#define SANITIZER_OPTIONS extern "C" __attribute__((visibility("default"))) const char*

/// A test asks for more memory than there is, and expects to be told.
SANITIZER_OPTIONS __asan_default_options() { return "allocator_may_return_null=1"; }

/// The same; and tests start threads in forked children.
SANITIZER_OPTIONS __tsan_default_options() {
  return "allocator_may_return_null=1:die_after_fork=0";
}

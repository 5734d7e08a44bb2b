// What the tests ask of the sanitizers that they are built with: one test asks for more memory than
// there is, and expects to be told.

// Looked up by name in the program, so the names must be visible.
#define OPTIONS extern "C" __attribute__((visibility("default"))) const char*

OPTIONS __asan_default_options() { return "allocator_may_return_null=1"; }
OPTIONS __tsan_default_options() { return "allocator_may_return_null=1"; }

// NVRTC guards what it makes once in ways of its own.
OPTIONS __tsan_default_suppressions() { return "race:libnvrtc"; }

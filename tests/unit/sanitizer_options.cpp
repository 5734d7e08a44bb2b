// What the tests ask of the sanitizers that they are built with.

/// A test asks for more memory than there is, and expects to be told.
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }

/// A test starts threads in a forked child.
extern "C" const char* __tsan_default_options() { return "die_after_fork=0"; }

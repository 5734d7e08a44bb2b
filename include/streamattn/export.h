// Marks what the shared library exports.
#pragma once

#if defined(__GNUC__)
#define STREAMATTN_API __attribute__((visibility("default")))
#define STREAMATTN_LOCAL __attribute__((visibility("hidden")))  // a class within an exported one
#else
#define STREAMATTN_API
#define STREAMATTN_LOCAL
#endif

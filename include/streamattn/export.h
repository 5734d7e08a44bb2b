// Marks what the shared library exports.
#pragma once

#if defined(__GNUC__)
#define STREAMATTN_API __attribute__((visibility("default")))
#else
#define STREAMATTN_API
#endif

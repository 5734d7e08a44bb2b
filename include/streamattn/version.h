/* The version of these headers, for the preprocessor; streamattn::version() and
 * streamattn_version() are the library's. */
#ifndef STREAMATTN_VERSION_H
#define STREAMATTN_VERSION_H

#define STREAMATTN_VERSION_MAJOR 0
#define STREAMATTN_VERSION_MINOR 1
#define STREAMATTN_VERSION_PATCH 0

#endif /* STREAMATTN_VERSION_H */

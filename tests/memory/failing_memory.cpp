// Stands before the C library's functions: a program's own definition of a name wins.
#include "tests/memory/failing_memory.h"

#include <errno.h>
#include <stddef.h>

#include <atomic>

// The names that the C library's own have besides.
extern "C" {
void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* block, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void* block);
}

namespace {

constinit std::atomic<std::int64_t> requests_left = 0;  // until one fails; 0 or less: none will
constinit std::atomic<bool> rest_fails = false, has_failed = false;
constinit std::atomic<std::int64_t> blocks = 0;

bool fails() {
  if (rest_fails && has_failed) return true;
  if (requests_left <= 0) return false;
  --requests_left;
  if (requests_left != 0) return false;
  has_failed = true;
  return true;
}

void* counted(void* block) {
  blocks += block != nullptr;
  return block;
}

void* refused() {
  errno = ENOMEM;
  return nullptr;
}

}  // namespace

extern "C" {

void* malloc(size_t bytes) { return fails() ? refused() : counted(__libc_malloc(bytes)); }

void* calloc(size_t count, size_t bytes) {
  return fails() ? refused() : counted(__libc_calloc(count, bytes));
}

void* realloc(void* block, size_t bytes) {
  if (fails()) return refused();
  void* moved = __libc_realloc(block, bytes);
  return block == nullptr ? counted(moved) : moved;
}

void* memalign(size_t alignment, size_t bytes) {
  return fails() ? refused() : counted(__libc_memalign(alignment, bytes));
}

void* aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }

int posix_memalign(void** block, size_t alignment, size_t bytes) {
  *block = memalign(alignment, bytes);
  return *block == nullptr ? ENOMEM : 0;
}

void free(void* block) {
  blocks -= block != nullptr;
  __libc_free(block);
}

}  // extern "C"

namespace streamattn {

void fail_memory(std::int64_t request, Fault fault) {
  has_failed = false;
  rest_fails = fault == Fault::rest;
  requests_left = request;
}

bool end_failing_memory() {
  requests_left = 0;
  rest_fails = false;
  return has_failed;
}

std::int64_t live_blocks() { return blocks; }

}  // namespace streamattn

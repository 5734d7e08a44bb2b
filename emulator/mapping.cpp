// mmap.
#include "emulator/mapping.h"

#include <llvm/Support/FormatVariadic.h>
#include <sys/mman.h>

#include <utility>

#include "streamattn/error.h"

namespace streamattn::emulator {

Mapping::Mapping(std::size_t bytes, Access access) : bytes_(bytes) {
  void* pages = mmap(nullptr, bytes, access == Access::none ? PROT_NONE : PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pages == MAP_FAILED)
    throw Error(ErrorCode::launch_failed,
                llvm::formatv("no room for {0} bytes of address space to emulate in", bytes));
  data_ = static_cast<std::byte*>(pages);
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_) {}

Mapping::~Mapping() {
  if (data_ != nullptr) munmap(data_, bytes_);
}

}  // namespace streamattn::emulator

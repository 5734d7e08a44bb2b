// Address space without memory behind it until it is touched.
#pragma once

#include <cstddef>

namespace streamattn::emulator {

/// Anonymous pages, as many as one likes: what is never touched takes no memory.
class Mapping {
 public:
  enum class Access { none, read_write };

  /// Throws Error (launch_failed) where the system refuses.
  Mapping(std::size_t bytes, Access access);
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&&) = delete;
  ~Mapping();

  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  std::byte* data_;
  std::size_t bytes_;
};

}  // namespace streamattn::emulator

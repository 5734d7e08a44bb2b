// Global memory as a launch sees it: its tensors and words, and who wrote and read every word.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "compiler/operations/backward/call.h"
#include "compiler/workspace.h"
#include "emulator/access.h"
#include "emulator/mapping.h"
#include "streamattn/named_args.h"
#include "streamattn/tensor.h"

namespace streamattn::emulator {

/// What kernels may do with an allocation.
enum class Role {
  input,        ///< read; nothing may be stored
  output,       ///< every element is stored exactly once, or again by a thread that says so
  accumulated,  ///< the same, and it holds something before
  some_rows,    ///< an output of which the device knows the rows: what is stored is stored once
  accumulated_rows,  ///< the same, and it holds something before
  workspace,         ///< undefined at first, and whatever kernels make of it
  counter,           ///< 32-bit words that are zero before and after
};

/// Kernels get addresses at which there is no memory: only the functions of ptx/ reach it, and a
/// plain access ends in an Interruption. Every function checks where it goes, and that whoever asks
/// knows the conflicting accesses before it to be complete.
class GlobalMemory {
 public:
  /// Adds the elements of a tensor in host memory, which must live as long; what is stored to an
  /// output is written back by copy_back() alone. Returns the tensor as kernels address it.
  Tensor add_tensor(const char* name, const Tensor& tensor, Role role);

  /// The same for an input of up to four dimensions.
  const void* add_tensor(const TensorArg& tensor);

  /// The gradient of such a tensor, float32.
  float* add_gradient(const NamedGradient& gradient, const NamedTensor& tensor, Role role);

  /// Adds `bytes` of workspace or counters, aligned to 256 bytes.
  void* add_bytes(const char* name, std::size_t bytes, Role role);

  /// Room for slices that without gaps take `bytes`; then the slices that were taken there.
  WorkspaceSlices begin_workspace(std::size_t bytes);
  void end_workspace(const WorkspaceSlices& slices);

  // For whoever knows `clock`. Return where the bytes are. Throw Violation.
  const std::byte* read(const void* address, int bytes, const Clock& clock, const Access& access);
  std::byte* write(const void* address, int bytes, const Clock& clock, const Access& access);

  /// A word at which threads release what they know, and acquire it.
  Clock& released_at(const void* word) { return released_[word]; }

  /// Between kernels: zeroes workspace.
  void clear(const void* address, std::size_t bytes);

  /// "byte 96 of lse", "no tensor".
  std::string describe(const void* address) const;

  /// What is wrong after the last kernel: an element that was never stored, a counter that is not
  /// zero. Empty if nothing is.
  std::string unfinished() const;

  /// Outputs to the tensors that were given.
  void copy_back() const;

 private:
  /// Of four bytes. Accesses are places in accesses_; 0 is none.
  struct Word {
    std::uint32_t write = 0;
    std::vector<std::uint32_t> reads;  // since it was written, the last one of each actor
  };

  struct Region {
    std::string name;
    Role role;
    std::byte* begin;  // as kernels address it
    std::size_t bytes;
    std::byte* memory = nullptr;         // what is behind `begin`
    std::optional<Mapping> own = {};     // memory that is ours
    std::vector<std::size_t> rows = {};  // where rows of elements begin, ascending
    std::size_t row_bytes = 0;
    void* host = nullptr;  // where an output goes in the end
    std::unordered_map<std::size_t, std::vector<Word>> words = {};  // pages of them

    bool is_accumulated() const {
      return role == Role::accumulated || role == Role::accumulated_rows;
    }
    bool is_whole() const { return role == Role::output || role == Role::accumulated; }
    bool is_output() const {
      return is_whole() || role == Role::some_rows || role == Role::accumulated_rows;
    }
    bool holds_something() const { return role == Role::counter || is_accumulated(); }
  };

  struct Elements {
    std::array<std::int64_t, 4> sizes, strides;
    DType dtype;
  };

  std::byte* reserve(std::size_t bytes);
  std::byte* add_elements(std::string name, void* data, const Elements& elements, Role role);
  void add_own(const char* name, Role role, std::byte* begin, std::size_t bytes);
  Region* region_at(const void* address);
  const Region* region_at(const void* address) const;
  Region& checked_region(const void* address, int bytes, const char* verb);
  Word& word(Region& region, std::size_t offset);
  static bool is_written(const Region& region, std::size_t offset);
  std::uint32_t record(const Access& access);
  void check_after_write(const Region& region, std::size_t offset, const Word& found,
                         const Clock& clock, const Access& access, const char* verb) const;

  std::deque<Mapping> addresses_;   // of regions, with room around each
  std::byte* workspace_ = nullptr;  // where slices begin
  std::deque<Region> regions_;
  std::vector<Access> accesses_ = std::vector<Access>(2);  // none, and what the host wrote before
  std::unordered_map<const void*, Clock> released_;
};

}  // namespace streamattn::emulator

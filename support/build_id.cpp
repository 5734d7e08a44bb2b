// Reads the identity of a shared library from its ELF notes: the name and the time of a file say
// nothing about what is in it.
#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include <llvm/ADT/StringExtras.h>

#include <array>
#include <cstring>
#include <vector>

#include "support/files.h"
#include "support/hash.h"

namespace streamattn {
namespace {

// Far above what any real library has; a damaged header cannot make us read more.
constexpr std::size_t max_program_headers = 512;
constexpr std::size_t max_note_bytes = 64 << 10;

constexpr char gnu_letters[] = "GNU";
constexpr std::string_view gnu_name(gnu_letters, sizeof gnu_letters);  // the zero byte counts

bool read_at(int fd, void* bytes, std::size_t size, std::uint64_t offset) {
  return ::pread(fd, bytes, size, static_cast<off_t>(offset)) == static_cast<ssize_t>(size);
}

std::vector<Elf64_Phdr> program_headers(int fd) {
  Elf64_Ehdr header;
  if (!read_at(fd, &header, sizeof header, 0)) return {};
  const bool is_elf64 = std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 &&
                        header.e_ident[EI_CLASS] == ELFCLASS64 &&
                        header.e_ident[EI_DATA] == ELFDATA2LSB;
  if (!is_elf64 || header.e_phentsize != sizeof(Elf64_Phdr) ||
      header.e_phnum > max_program_headers) {
    return {};
  }
  std::vector<Elf64_Phdr> headers(header.e_phnum);
  if (!read_at(fd, headers.data(), headers.size() * sizeof(Elf64_Phdr), header.e_phoff)) return {};
  return headers;
}

std::size_t align_up(std::size_t size) { return (size + 3) & ~std::size_t{3}; }

// A note is a header, a name and a descriptor, the last two padded to four bytes.
std::optional<std::string> build_id_of_notes(std::string_view notes) {
  Elf64_Nhdr note;
  while (notes.size() >= sizeof note) {
    std::memcpy(&note, notes.data(), sizeof note);
    notes.remove_prefix(sizeof note);
    const std::size_t name_size = align_up(note.n_namesz);
    const std::size_t size = name_size + align_up(note.n_descsz);
    if (size > notes.size()) return std::nullopt;
    const std::string_view name = notes.substr(0, note.n_namesz);
    if (note.n_type == NT_GNU_BUILD_ID && name == gnu_name && note.n_descsz > 0) {
      return llvm::toHex(llvm::StringRef(notes.data() + name_size, note.n_descsz), true);
    }
    notes.remove_prefix(size);
  }
  return std::nullopt;
}

std::optional<Digest> file_digest(int fd) {
  llvm::BLAKE3 hasher;
  std::vector<std::uint8_t> block(1 << 20);
  for (std::uint64_t offset = 0;;) {
    const ssize_t size = ::pread(fd, block.data(), block.size(), static_cast<off_t>(offset));
    if (size < 0) return std::nullopt;
    if (size == 0) return hasher.final();
    hasher.update(llvm::ArrayRef<std::uint8_t>(block.data(), static_cast<std::size_t>(size)));
    offset += static_cast<std::uint64_t>(size);
  }
}

}  // namespace

std::optional<std::string> elf_build_id(const std::filesystem::path& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return std::nullopt;
  for (const Elf64_Phdr& header : program_headers(file.get())) {
    if (header.p_type != PT_NOTE || header.p_filesz > max_note_bytes) continue;
    std::string notes(header.p_filesz, '\0');
    if (!read_at(file.get(), notes.data(), notes.size(), header.p_offset)) continue;
    if (auto build_id = build_id_of_notes(notes)) return build_id;
  }
  return std::nullopt;
}

std::optional<std::string> file_identity(const std::filesystem::path& path) {
  if (const auto build_id = elf_build_id(path)) return "build-id:" + *build_id;
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return std::nullopt;
  const auto digest = file_digest(file.get());
  if (!digest) return std::nullopt;
  return "blake3:" + base32(*digest);
}

}  // namespace streamattn

// Reads the section table of a cubin, an ELF64 file.
#include "compiler/toolchain/cubin.h"

#include <elf.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

namespace streamattn {
namespace {

/// `size` bytes at `offset`; nothing if they are not all there.
std::optional<std::string_view> slice(std::string_view bytes, std::uint64_t offset,
                                      std::uint64_t size) {
  if (offset > bytes.size() || size > bytes.size() - offset) return std::nullopt;
  return bytes.substr(offset, size);
}

std::optional<std::vector<Elf64_Shdr>> sections(std::string_view cubin, const Elf64_Ehdr& header) {
  if (header.e_shentsize != sizeof(Elf64_Shdr)) return std::nullopt;
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  const auto table = slice(cubin, header.e_shoff, sections.size() * sizeof(Elf64_Shdr));
  if (!table || header.e_shstrndx >= sections.size()) return std::nullopt;
  std::memcpy(sections.data(), table->data(), table->size());
  return sections;
}

}  // namespace

std::string cubin_complaint(std::string_view cubin, std::string_view entry) {
  Elf64_Ehdr header;
  if (cubin.size() < sizeof header) return "it is no ELF file";
  std::memcpy(&header, cubin.data(), sizeof header);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return "it is no ELF file";
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_CUDA) {
    return "it is no 64-bit CUDA binary";
  }
  const auto table = sections(cubin, header);
  if (!table) return "its section table is cut off";
  const Elf64_Shdr& names = (*table)[header.e_shstrndx];
  const auto strings = slice(cubin, names.sh_offset, names.sh_size);
  if (!strings) return "its section names are cut off";
  // ptxas puts every kernel into a section of its own; the name ends with a zero byte.
  const std::string wanted = ".text." + std::string(entry) + '\0';
  for (const Elf64_Shdr& section : *table) {
    if (slice(*strings, section.sh_name, wanted.size()) != wanted) continue;
    if (section.sh_size == 0 || !slice(cubin, section.sh_offset, section.sh_size)) {
      return "the code of kernel " + std::string(entry) + " is cut off";
    }
    return {};
  }
  return "it has no kernel " + std::string(entry);
}

}  // namespace streamattn

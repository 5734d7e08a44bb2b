// The check that a cubin is whole and holds its kernel, on small ELF files made here.
#include "compiler/toolchain/cubin.h"

#include <elf.h>

#include <cstring>

#include "tests/support/catch.h"

using namespace streamattn;

namespace {

/// An ELF file with section names ("\0.text.<kernel>\0") and 16 bytes of code.
std::string small_cubin(const std::string& kernel) {
  const std::string names = std::string(1, '\0') + ".text." + kernel + '\0';
  const std::string code(16, 'c');
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_machine = EM_CUDA;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = 2;
  header.e_shstrndx = 0;
  header.e_shoff = sizeof header + names.size() + code.size();
  Elf64_Shdr sections[2]{};
  sections[0].sh_offset = sizeof header;
  sections[0].sh_size = names.size();
  sections[1].sh_name = 1;
  sections[1].sh_offset = sizeof header + names.size();
  sections[1].sh_size = code.size();
  return std::string(reinterpret_cast<const char*>(&header), sizeof header) + names + code +
         std::string(reinterpret_cast<const char*>(sections), sizeof sections);
}

/// small_cubin("f") with `value` at the place of a header field.
template <class Field>
std::string with_header_field(std::size_t offset, Field value) {
  std::string cubin = small_cubin("f");
  std::memcpy(cubin.data() + offset, &value, sizeof value);
  return cubin;
}

}  // namespace

TEST_CASE("a cubin with the code of its kernel is accepted") {
  CHECK(cubin_complaint(small_cubin("streamattn_forward"), "streamattn_forward").empty());
}

TEST_CASE("a cubin without the kernel is refused, near names included") {
  const std::string cubin = small_cubin("streamattn_forward");
  for (const char* entry : {"streamattn", "streamattn_forward2", "forward", ""}) {
    INFO(entry);
    CHECK(cubin_complaint(cubin, entry) == std::string("it has no kernel ") + entry);
  }
}

TEST_CASE("what is no CUDA binary is refused") {
  CHECK(cubin_complaint("", "f") == "it is no ELF file");
  CHECK(cubin_complaint(std::string(1000, 'x'), "f") == "it is no ELF file");
  CHECK(cubin_complaint(with_header_field(EI_CLASS, char{ELFCLASS32}), "f") ==
        "it is no 64-bit CUDA binary");
  CHECK(cubin_complaint(with_header_field(offsetof(Elf64_Ehdr, e_machine), Elf64_Half{EM_X86_64}),
                        "f") == "it is no 64-bit CUDA binary");
}

TEST_CASE("every truncated cubin is refused") {
  const std::string cubin = small_cubin("f");
  for (std::size_t size = 0; size < cubin.size(); ++size) {
    INFO(size);
    CHECK_FALSE(cubin_complaint(std::string_view(cubin).substr(0, size), "f").empty());
  }
}

TEST_CASE("offsets that point outside a cubin are refused, however large") {
  for (Elf64_Off offset : {Elf64_Off{1000}, ~Elf64_Off{0}, ~Elf64_Off{0} - 100}) {
    INFO(offset);
    CHECK(cubin_complaint(with_header_field(offsetof(Elf64_Ehdr, e_shoff), offset), "f") ==
          "its section table is cut off");
    std::string cubin = small_cubin("f");
    const std::size_t names = cubin.size() - 2 * sizeof(Elf64_Shdr);
    std::memcpy(cubin.data() + names + offsetof(Elf64_Shdr, sh_offset), &offset, sizeof offset);
    CHECK(cubin_complaint(cubin, "f") == "its section names are cut off");
    cubin = small_cubin("f");
    const std::size_t code = cubin.size() - sizeof(Elf64_Shdr);
    std::memcpy(cubin.data() + code + offsetof(Elf64_Shdr, sh_offset), &offset, sizeof offset);
    CHECK(cubin_complaint(cubin, "f") == "the code of kernel f is cut off");
  }
}

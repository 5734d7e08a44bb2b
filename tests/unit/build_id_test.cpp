// The identity of library files.
#include <elf.h>

#include <cstring>
#include <random>

#include "support/files.h"
#include "support/hash.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

using namespace streamattn;

namespace {

template <class Struct>
std::string bytes_of(const Struct& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::string note(std::uint32_t type, const std::string& name, const std::string& descriptor) {
  const auto padded = [](std::string text) { return text.resize((text.size() + 3) / 4 * 4), text; };
  const Elf64_Nhdr header{static_cast<Elf64_Word>(name.size()),
                          static_cast<Elf64_Word>(descriptor.size()), type};
  return bytes_of(header) + padded(name) + padded(descriptor);
}

const std::string gnu("GNU\0", 4);

// An ELF file of a header, one segment of notes, and the notes.
std::string elf_with_notes(const std::string& notes) {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 1;
  const Elf64_Phdr segment{
      .p_type = PT_NOTE, .p_offset = sizeof header + sizeof(Elf64_Phdr), .p_filesz = notes.size()};
  return bytes_of(header) + bytes_of(segment) + notes;
}

}  // namespace

TEST_CASE("a build-id is found behind other notes") {
  const ScratchFolder folder;
  const auto file = folder.path() / "lib.so";
  write_file(file,
             elf_with_notes(note(1, "Linux", "x") + note(NT_GNU_BUILD_ID, "abc", "no") +
                            note(5, gnu, "property") + note(NT_GNU_BUILD_ID, gnu, "\x01\xab\xff")));
  CHECK(elf_build_id(file) == "01abff");
  CHECK(file_identity(file) == "build-id:01abff");
}

TEST_CASE("a file without a build-id is identified by its content") {
  const ScratchFolder folder;
  const auto file = folder.path() / "lib.so";
  const std::string content = elf_with_notes(note(5, gnu, "property"));
  write_file(file, content);
  CHECK(elf_build_id(file) == std::nullopt);
  CHECK(file_identity(file) == "blake3:" + base32(digest(content)));
  CHECK(file_identity(folder.path() / "missing") == std::nullopt);
  CHECK(file_identity(folder.path()) == std::nullopt);
}

TEST_CASE("a damaged ELF file has no build-id or another, and is read without harm") {
  const ScratchFolder folder;
  const auto file = folder.path() / "lib.so";
  const std::string sound = elf_with_notes(note(NT_GNU_BUILD_ID, gnu, std::string(20, '\x5a')));
  std::mt19937_64 random(2);
  for (std::size_t size = 0; size < sound.size(); ++size) {
    write_file(file, sound.substr(0, size));
    CHECK(elf_build_id(file) == std::nullopt);
  }
  for (int i = 0; i < 2000; ++i) {
    std::string bytes = sound;
    for (int flips = 0; flips < 3; ++flips) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    write_file(file, bytes);
    const auto build_id = elf_build_id(file);
    CHECK((!build_id || build_id->size() <= 2 * sound.size()));
  }
}

// Builds the smallest file that passes for a cubin.
#include "tests/support/fake_kernel.h"

#include <elf.h>

#include <cstring>
#include <random>

namespace streamattn {
namespace {

template <class Struct>
void put(std::string& bytes, std::size_t offset, const Struct& value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

}  // namespace

std::string fake_cubin(const std::string& entry, std::size_t code_bytes, std::uint64_t seed) {
  const std::string names = std::string(1, '\0') + ".text." + entry + std::string(1, '\0');
  constexpr std::size_t section_count = 2;  // the names, the code
  const std::size_t names_begin = sizeof(Elf64_Ehdr) + section_count * sizeof(Elf64_Shdr);
  const std::size_t code_begin = names_begin + names.size();

  std::string cubin(code_begin, '\0');
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_machine = EM_CUDA;
  header.e_shoff = sizeof header;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = section_count;
  header.e_shstrndx = 0;
  put(cubin, 0, header);
  put(cubin, sizeof header, Elf64_Shdr{.sh_offset = names_begin, .sh_size = names.size()});
  put(cubin, sizeof header + sizeof(Elf64_Shdr),
      Elf64_Shdr{.sh_name = 1, .sh_offset = code_begin, .sh_size = code_bytes});
  std::memcpy(cubin.data() + names_begin, names.data(), names.size());

  std::mt19937_64 random(seed);
  for (std::size_t byte = 0; byte < code_bytes; ++byte) cubin += static_cast<char>(random());
  return cubin;
}

FakeKernel::FakeKernel(std::uint64_t seed, std::size_t code_bytes) {
  std::mt19937_64 random(seed);
  const auto number = [&] { return static_cast<int>(random() % 100'000); };
  source.text = "// streamattn forward\n// problem: number " + std::to_string(seed) + "\n";
  source.flat = source.text + "void streamattn_forward() {}\n";
  source.entry = "streamattn_forward";
  source.target = "sm_90a";
  key = kernel_key(source, {}, "fake compiler 1");
  binary.cubin = fake_cubin(source.entry, code_bytes, seed);
  binary.resources = {number(), number(), number(), number(), number(), number()};
  binary.advisories = {"advisory " + std::to_string(number()), "", "advisory\nof two lines"};
  binary.compile_milliseconds = number() / 7.0;
}

}  // namespace streamattn

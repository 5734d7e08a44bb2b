// Hashes what a compile depends on.
#include "runtime/cache/kernel_key.h"

#include <cassert>

#include "support/environment.h"
#include "support/hash.h"
#include "support/log.h"

namespace streamattn {
namespace {

// Changing the domain or a tag makes every stored kernel unreachable.
constexpr std::string_view domain = "streamattn kernel key v1";
enum Tag : std::uint16_t { source_tag = 1, option_tag, target_tag, compiler_tag, environment_tag };

// NVRTC, libNVVM and the LLVM inside them change their output under these.
constexpr std::string_view compiler_variables[] = {"NVRTC_", "LIBNVVM_", "NVVM_", "NV_NVVM",
                                                   "LLVM_OVERRIDE_PRODUCER="};

}  // namespace

std::string KernelKey::text() const { return base32(bytes); }

std::optional<KernelKey> KernelKey::parse(std::string_view text) {
  const auto digest = parse_base32(text);
  if (!digest) return std::nullopt;
  return KernelKey{*digest};
}

KernelKey kernel_key(const Source& source, std::span<const std::string> options,
                     std::string_view compiler_identity) {
  assert(!compiler_identity.empty());
  FieldHasher hasher(domain);
  hasher.add(source_tag, source.flat);
  for (const std::string& option : options) hasher.add(option_tag, option);
  hasher.add(target_tag, source.target);
  hasher.add(compiler_tag, compiler_identity);
  for (const std::string& variable : environment_with_prefixes(compiler_variables)) {
    log_once(LogLevel::warning, LogTopic::key,
             variable + " is set: kernels compiled under it are cached apart from others");
    hasher.add(environment_tag, variable);
  }
  return {hasher.digest()};
}

}  // namespace streamattn

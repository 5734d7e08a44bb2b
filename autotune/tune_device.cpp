// Names of fates.
#include "autotune/tune_device.h"

#include <span>

#include "streamattn/error.h"
#include "support/did_you_mean.h"

namespace streamattn {
namespace {

constexpr std::string_view fate_names[] = {"ok", "refused", "wrong", "crashed", "timed out"};

}  // namespace

std::string_view name(Fate fate) { return fate_names[static_cast<int>(fate)]; }

Fate parse_fate(std::string_view text) {
  for (std::size_t i = 0; i < std::size(fate_names); i++)
    if (fate_names[i] == text) return static_cast<Fate>(i);
  throw Error(ErrorCode::invalid_argument,
              "unknown fate \"" + std::string(text) + "\", " + did_you_mean(text, fate_names));
}

}  // namespace streamattn

// Inlines templates into an emitted file.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "support/embedded_file.h"

namespace streamattn {

/// `text` with every `#include "name"` replaced by that template, each once, and #line markers that
/// keep the compiler's messages true. Templates come from the library, or from `folder` if given;
/// those in `instead` take the place of their namesakes. Throws Error (invalid_config) that names a
/// template that does not exist.
std::string flatten(std::string_view text, const std::optional<std::filesystem::path>& folder = {},
                    std::span<const EmbeddedFile> instead = {});

}  // namespace streamattn

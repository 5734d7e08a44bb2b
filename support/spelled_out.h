// Text of others in messages.
#pragma once

#include <string>
#include <string_view>

namespace streamattn {

/// `text`, with what a terminal would act on as "\x1b". Lines stay lines.
std::string spelled_out(std::string_view text);

}  // namespace streamattn

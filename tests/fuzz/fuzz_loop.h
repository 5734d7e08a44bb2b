// The main of a fuzz target: runs it on texts without end.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "streamattn/error.h"

namespace streamattn {

/// Gives one text after the other.
using TextSource = std::function<std::string()>;

/// "NAME SECONDS [SEED]" runs `run` on the texts of a source of that seed for so long, "NAME FILE"
/// on that file alone. A text that ends the process, or takes longer than 10 seconds, is printed.
int fuzz_main(int argc, char** argv, const std::function<void(const std::string&)>& run,
              const std::function<TextSource(std::uint64_t seed)>& source);

/// Ends the process as one that failed, with a word of why.
[[noreturn]] void report_fault(const std::string& what, const std::string& text);

/// Reports a message that is empty, or has control characters other than line ends.
void check_message(const Error& error);

}  // namespace streamattn

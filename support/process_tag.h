// Names for files of a process, from which others can tell whether it still lives.
#pragma once

#include <string>
#include <string_view>

namespace streamattn {

/// "<machine>-<pid>-<start>": this process among all that ever run on machines sharing a disk.
std::string process_tag();

/// Whether the process that `name` begins with the tag of is gone for sure. False for a process of
/// another machine or container, and for any other text.
bool is_of_dead_process(std::string_view name);

}  // namespace streamattn

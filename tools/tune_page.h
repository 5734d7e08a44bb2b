// What tuning came to, as one HTML file that needs nothing else.
#pragma once

#include <string>

#include "autotune/tune_session.h"

namespace streamattn {

/// A page with, for every group, the finalists and why the winner won, maps of the times over pairs
/// of knobs, and what was refused why.
std::string tune_page(const TuneReport& report);

}  // namespace streamattn

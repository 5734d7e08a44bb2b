// Which of several devices may tune one job together.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "autotune/tune_device.h"

namespace streamattn {

/// Those of `devices`, GPUs of the same ordinals, whose figures hold for the same things as those
/// of the first: of one name, driver, compiler and way of timing. For each other one `complain`
/// gets a sentence with what differs. Throws what the first device throws.
std::vector<TuneDevice*> of_one_class(const std::vector<TuneDevice*>& devices,
                                      const std::vector<int>& ordinals,
                                      const std::function<void(const std::string&)>& complain);

}  // namespace streamattn

// Compares sites.
#include "autotune/device_class.h"

#include <llvm/Support/FormatVariadic.h>

#include "compiler/schedule_rows.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

/// "it is NVIDIA L4, GPU 0 is NVIDIA H200"; empty for equal sites.
std::string difference(const TuneSite& site, const TuneSite& first, int first_ordinal) {
  if (site.device != first.device)
    return llvm::formatv("it is {0}, GPU {1} is {2}", site.device, first_ordinal, first.device);
  std::string text;
  for_each_condition(site.timed, [&](std::string_view name, const std::string& value) {
    for_each_condition(first.timed, [&](std::string_view other, const std::string& wanted) {
      if (name == other && value != wanted && text.empty())
        text = llvm::formatv("its {0} is {1}, that of GPU {2} is {3}", name, value, first_ordinal,
                             wanted);
    });
  });
  return text;
}

}  // namespace

std::vector<TuneDevice*> of_one_class(const std::vector<TuneDevice*>& devices,
                                      const std::vector<int>& ordinals,
                                      const std::function<void(const std::string&)>& complain) {
  std::vector<TuneDevice*> alike = {devices.front()};
  const TuneSite first = devices.front()->site();
  for (std::size_t i = 1; i < devices.size(); i++) {
    std::string reason;
    try {
      reason = difference(devices[i]->site(), first, ordinals.front());
    } catch (const Error& error) {
      reason = error.what();
    }
    if (reason.empty()) {
      alike.push_back(devices[i]);
    } else {
      complain(llvm::formatv("GPU {0} is left out: {1}", ordinals[i], reason));
    }
  }
  return alike;
}

}  // namespace streamattn

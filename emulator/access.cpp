// Accesses in words.
#include "emulator/access.h"

#include "emulator/violation.h"

namespace streamattn::emulator {
namespace {

const char* name(AccessKind kind) {
  switch (kind) {
    case AccessKind::plain:
    case AccessKind::atomic:
      return "thread";
    case AccessKind::copy_async:
      return "cp.async";
    case AccessKind::store_async:
      return "store_async";
    case AccessKind::wgmma:
      return "wgmma";
    case AccessKind::tma_load:
      return "TMA load";
    case AccessKind::tma_store:
      return "TMA store";
  }
  return "";
}

}  // namespace

std::string text(const Access& access) {
  if (access.kind != AccessKind::plain && access.kind != AccessKind::atomic)
    return llvm::formatv("the {0} of warp {1} at {2}", name(access.kind), access.warp,
                         text(access.site));
  return llvm::formatv("warp {0}, lane {1} at {2}", access.warp, access.lane, text(access.site));
}

}  // namespace streamattn::emulator

// The list of families.
#include <llvm/ADT/STLExtras.h>
#include <llvm/Support/FormatVariadic.h>

#include "compiler/families/append_rows/append_rows.h"
#include "compiler/families/backward_wgmma/backward_wgmma.h"
#include "compiler/families/cpu_append/cpu_append.h"
#include "compiler/families/cpu_backward/cpu_backward.h"
#include "compiler/families/cpu_merge/cpu_merge.h"
#include "compiler/families/cpu_tiled/cpu_tiled.h"
#include "compiler/families/decode_wgmma/decode_wgmma.h"
#include "compiler/families/flash_wgmma/flash_wgmma.h"
#include "compiler/families/merge_shares/merge_shares.h"
#include "streamattn/error.h"

namespace streamattn {

std::span<const Family> families() {
  // clang-format off: a line each
  static const Family list[] = {
      decode_wgmma_family(),
      flash_wgmma_family(),
      backward_wgmma_family(),
      cpu_tiled_family(),
      cpu_backward_family(),
      append_rows_family(),
      cpu_append_family(),
      merge_shares_family(),
      cpu_merge_family(),
  };
  // clang-format on
  return list;
}

std::span<const Target* const> served_targets() {
  static const std::vector<const Target*> served = [] {
    std::vector<const Target*> list;
    for (const Target& target : targets())
      if (llvm::any_of(families(), [&](const Family& f) { return f.misses(target).empty(); }))
        list.push_back(&target);
    return list;
  }();
  return served;
}

const Family& find_family(std::string_view wanted) {
  for (const Family& family : families())
    if (family.name == wanted) return family;
  std::string known;
  for (const Family& family : families())
    known += llvm::formatv("{0}{1}", known.empty() ? "" : ", ", family.name);
  throw Error(ErrorCode::invalid_schedule,
              llvm::formatv("unknown family \"{0}\"; there are {1}", wanted, known));
}

}  // namespace streamattn

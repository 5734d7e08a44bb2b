// Declines what several families do not serve.
#include "compiler/families/refusals.h"

namespace streamattn {

std::string decline_ragged(const Problem& problem) {
  if (!problem.is_ragged()) return {};
  return "sequences differ: all of a batch must be dense and equally long, or all of them one, as "
         "packed ones are under a mask of documents";
}

}  // namespace streamattn

// The check of a result, as assertions.
#include "tests/support/forward_case.h"

#include "tests/support/catch.h"

namespace streamattn {

void check_result(const Problem& problem, const ForwardArgs& args, const ForwardTensors& tensors,
                  const Visible& visible) {
  const Errors errors = errors_of(problem, args, all_rows(args), visible);
  CHECK(errors.o <= errors.o_allowed);
  CHECK(errors.lse <= errors.lse_allowed);
  const std::vector<SequenceRows> written = written_rows(args);
  CHECK(tensors.o.is_poison_but_for(written));
  CHECK(tensors.lse.is_poison_but_for(args.lse.data == nullptr ? std::vector<SequenceRows>()
                                                               : written));
}

}  // namespace streamattn

// The check of a result, as assertions.
#include "tests/support/forward_case.h"

#include "tests/support/catch.h"

namespace streamattn {

void check_result(const Problem& problem, const ForwardArgs& args, const ForwardTensors& tensors,
                  const Visible& visible) {
  const Errors errors = errors_of(problem, args, all_rows(args), visible);
  CHECK(errors.o <= errors.o_allowed);
  CHECK(errors.lse <= errors.lse_allowed);
  const Rows written = args.q_rows.value_or(Rows{0, args.q.seq});
  CHECK(tensors.o.is_poison_outside(written));
  CHECK(tensors.lse.is_poison_outside(args.lse.data == nullptr ? Rows{} : written));
}

}  // namespace streamattn

// What every merge launch checks before it touches memory.
#include "compiler/operations/merge/check.h"

#include <llvm/Support/MathExtras.h>

#include <utility>

#include "compiler/operations/tensor_checks.h"

namespace streamattn {
namespace {

void check_free_sizes(const MergeArgs& args) {
  constexpr std::int64_t limit = std::int64_t{1} << 62;
  const Tensor& o = args.o;
  for (const auto& [name, size] :
       {std::pair("o: batch", o.batch), std::pair("o: seq", o.seq), std::pair("o: heads", o.heads)})
    if (size < 0) refuse_argument("{0} is {1}, must not be negative", name, size);
  std::int64_t rows = 0;
  if (llvm::MulOverflow(o.batch, o.heads, rows) || llvm::MulOverflow(rows, o.seq, rows) ||
      rows >= limit)
    refuse_argument("o: batch {0} x heads {1} x seq {2} rows are too many, must be less than {3}",
                    o.batch, o.heads, o.seq, limit);
  const std::int64_t entries = args.share_o.batch;
  if (entries < 0) refuse_argument("share_o: batch is {0}, must not be negative", entries);
  if (o.batch == 0 ? entries != 0 : entries % o.batch != 0 || entries / o.batch < 2)
    refuse_argument(
        "share_o: batch is {0}, needs a multiple of {1} (batch of o), 2 shares at least", entries,
        o.batch);
  if (args.max_sms < 0) refuse_argument("max_sms: is {0}, must not be negative", args.max_sms);
}

void check_real(std::string_view tensor, DType found, const Problem& problem) {
  if (found != problem.dtype && found != DType::f32)
    refuse_argument("{0}: dtype is {1}, needs {2} or f32", tensor, name(found),
                    name(problem.dtype));
}

void check_rows(std::string_view tensor, const Tensor& found, const MergeArgs& args,
                std::int64_t batch, std::int64_t dim) {
  const bool is_share = batch != args.o.batch;
  check_dimensions(tensor,
                   {{"batch", found.batch, batch, is_share ? "as share_o" : "as o"},
                    {"seq", found.seq, args.o.seq, "seq of o"},
                    {"heads", found.heads, args.o.heads, "heads of o"},
                    {"dim", found.dim, dim, dim == 1 ? "one value a row" : "value_head_dim"}});
}

bool is_given(const Tensor& lse) {
  return lse.data != nullptr || lse.batch != 0 || lse.seq != 0 || lse.heads != 0 || lse.dim != 0;
}

}  // namespace

void check_merge(const Problem& problem, const MergeArgs& args) {
  check_free_sizes(args);
  check_real("share_o", args.share_o.dtype, problem);
  check_real("o", args.o.dtype, problem);
  check_type("share_lse", args.share_lse.dtype, DType::f32, "natural logarithms");
  check_rows("share_o", args.share_o, args, args.share_o.batch, problem.v_head_dim());
  check_rows("share_lse", args.share_lse, args, args.share_o.batch, 1);
  check_rows("o", args.o, args, args.o.batch, problem.v_head_dim());
  if (is_given(args.lse)) {
    check_type("lse", args.lse.dtype, DType::f32, "natural logarithms");
    check_rows("lse", args.lse, args, args.o.batch, 1);
  }
  const NamedOperand outputs[] = {{"o", args.o}, {"lse", args.lse}};
  const NamedOperand inputs[] = {{"share_o", args.share_o}, {"share_lse", args.share_lse}};
  for (const NamedOperand& operand : inputs) check_memory(operand);
  for (const NamedOperand& operand : outputs) check_memory(operand);
  check_overlaps(outputs, inputs, {}, {}, {}, {});
}

}  // namespace streamattn

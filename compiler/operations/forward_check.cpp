// What every launch checks before it touches memory.
#include "compiler/operations/forward_check.h"

#include <cmath>
#include <string_view>
#include <tuple>
#include <utility>

#include <llvm/Support/FormatVariadic.h>

#include "streamattn/error.h"

namespace streamattn {
namespace {

// Launch parameters have ints, and kernels add and subtract positions.
constexpr std::int64_t device_length_limit = std::int64_t{1} << 29;
constexpr std::int64_t device_stride_limit = std::int64_t{1} << 40;  // bytes, of a tensor map
constexpr int device_alignment = 16;                                 // bytes, of a tensor map
// Half the range of the type, so that sums of a position and a length do not overflow.
constexpr std::int64_t host_length_limit = std::int64_t{1} << 62;

/// One tensor argument and the rules for it.
struct Operand {
  std::string_view name;
  const Tensor& tensor;
  DType type;
  bool is_output = false;
  bool by_tensor_map = true;  ///< on a device, reached 16 bytes at a time
};

/// What one dimension of a tensor must be, and why.
struct Needed {
  std::string_view dimension;
  std::int64_t found;
  std::int64_t needed;
  std::string_view origin;
};

template <typename... Values>
[[noreturn]] void refuse(const char* format, Values&&... values) {
  throw Error(ErrorCode::invalid_argument,
              llvm::formatv(format, std::forward<Values>(values)...).str());
}

void check_sizes(const Operand& operand, std::initializer_list<Needed> sizes) {
  for (const auto& [dimension, found, needed, origin] : sizes) {
    if (found < 0) refuse("{0}: {1} is {2}, must not be negative", operand.name, dimension, found);
    if (found != needed) {
      refuse("{0}: {1} is {2}, needs {3} ({4})", operand.name, dimension, found, needed, origin);
    }
  }
}

void check_stride(const Operand& operand, std::string_view dimension, std::int64_t size,
                  std::int64_t stride, bool device) {
  if (size <= 1) return;
  if (operand.is_output && stride == 0) {
    refuse("{0}: {1}_stride is 0 and the size is {2}, outputs must not overlap", operand.name,
           dimension, size);
  }
  if (!device) return;
  const std::int64_t limit = device_stride_limit / bytes(operand.type);
  if (stride < 0 || stride >= limit) {
    refuse("{0}: {1}_stride is {2} elements, a device needs 0 to {3}", operand.name, dimension,
           stride, limit - 1);
  }
  if (operand.by_tensor_map && stride * bytes(operand.type) % device_alignment != 0) {
    refuse("{0}: {1}_stride is {2} bytes, a device needs a multiple of {3}", operand.name,
           dimension, stride * bytes(operand.type), device_alignment);
  }
}

void check_memory(const Operand& operand, bool device) {
  const Tensor& tensor = operand.tensor;
  if (tensor.batch == 0 || tensor.seq == 0 || tensor.heads == 0 || tensor.dim == 0) return;
  if (tensor.data == nullptr) {
    refuse("{0}: data is null, needs [{1}, {2}, {3}, {4}] elements", operand.name, tensor.batch,
           tensor.seq, tensor.heads, tensor.dim);
  }
  const int alignment = device && operand.by_tensor_map ? device_alignment : bytes(operand.type);
  const auto address = reinterpret_cast<std::uintptr_t>(tensor.data);
  if (address % alignment != 0) {
    refuse("{0}: data is at {1:x}, needs a multiple of {2}", operand.name, address, alignment);
  }
  check_stride(operand, "batch", tensor.batch, tensor.batch_stride, device);
  check_stride(operand, "seq", tensor.seq, tensor.seq_stride, device);
  check_stride(operand, "head", tensor.heads, tensor.head_stride, device);
}

void check_rows(std::string_view name, const std::optional<Rows>& rows, std::string_view tensor,
                std::int64_t length) {
  if (!rows || (0 <= rows->begin && rows->begin <= rows->end && rows->end <= length)) return;
  refuse("{0}: [{1}, {2}) is not a range within the {3} rows of {4}", name, rows->begin, rows->end,
         length, tensor);
}

void check_position(std::string_view name, std::int64_t position, std::int64_t length,
                    bool device) {
  const std::int64_t limit = device ? device_length_limit : host_length_limit;
  if (-limit < position && position < limit - length) return;
  refuse("{0}: is {1} with {2} rows, positions must lie within +-{3}", name, position, length,
         limit - 1);
}

void check_scalars(const ForwardArgs& args, bool device) {
  check_rows("q_rows", args.q_rows, "q", args.q.seq);
  check_rows("kv_rows", args.kv_rows, "k", args.k.seq);
  check_position("k_offset", args.k_offset, args.k.seq, device);
  check_position("q_offset", args.q_offset.value_or(args.k_offset + args.k.seq - args.q.seq),
                 args.q.seq, device);
  if (args.scale && !(std::isfinite(*args.scale) && *args.scale > 0)) {
    refuse("scale: is {0}, must be finite and positive", *args.scale);
  }
  if (args.max_sms < 0) refuse("max_sms: is {0}, must not be negative", args.max_sms);
}

/// Lengths of q and k and the number of heads, on which everything else depends.
void check_free_sizes(const Problem& problem, const ForwardArgs& args, bool device) {
  const Tensor& q = args.q;
  const std::int64_t limit = device ? device_length_limit : host_length_limit;
  for (const auto& [name, size] :
       {std::pair("q: batch", q.batch), std::pair("q: seq", q.seq), std::pair("q: heads", q.heads),
        std::pair("k: seq", args.k.seq)}) {
    if (size < 0) refuse("{0} is {1}, must not be negative", name, size);
    if (size >= limit) refuse("{0} is {1}, must be less than {2}", name, size, limit);
  }
  if (q.heads % problem.group_size != 0) {
    refuse("q: heads is {0}, needs a multiple of {1} (group_size)", q.heads, problem.group_size);
  }
  if (device && q.heads > 0 && q.batch >= limit / q.heads) {
    refuse("q: batch is {0} with {1} heads, a device needs a product below {2}", q.batch, q.heads,
           limit);
  }
}

}  // namespace

void check_args(const Problem& problem, const ForwardArgs& args, bool device) {
  check_free_sizes(problem, args, device);
  const auto& [q, k, v, o, lse] = std::tie(args.q, args.k, args.v, args.o, args.lse);
  const Operand q_operand{"q", q, problem.dtype};
  const Operand k_operand{"k", k, problem.dtype};
  const Operand v_operand{"v", v, problem.dtype};
  const Operand o_operand{"o", o, problem.output_dtype(), true};
  const Operand lse_operand{"lse", lse, DType::f32, true, false};
  const std::int64_t kv_heads = q.heads / problem.group_size;

  check_sizes(q_operand, {{"dim", q.dim, problem.head_dim, "head_dim"}});
  check_sizes(k_operand, {{"batch", k.batch, q.batch, "batch of q"},
                          {"heads", k.heads, kv_heads, "heads of q / group_size"},
                          {"dim", k.dim, problem.head_dim, "head_dim"}});
  check_sizes(v_operand, {{"batch", v.batch, q.batch, "batch of q"},
                          {"seq", v.seq, k.seq, "seq of k"},
                          {"heads", v.heads, kv_heads, "heads of q / group_size"},
                          {"dim", v.dim, problem.v_head_dim(), "value_head_dim"}});
  check_sizes(o_operand, {{"batch", o.batch, q.batch, "batch of q"},
                          {"seq", o.seq, q.seq, "seq of q"},
                          {"heads", o.heads, q.heads, "heads of q"},
                          {"dim", o.dim, problem.v_head_dim(), "value_head_dim"}});
  for (const Operand& operand : {q_operand, k_operand, v_operand, o_operand}) {
    check_memory(operand, device);
  }
  const bool wants_lse =
      lse.data != nullptr || lse.batch != 0 || lse.seq != 0 || lse.heads != 0 || lse.dim != 0;
  if (wants_lse) {
    check_sizes(lse_operand, {{"batch", lse.batch, q.batch, "batch of q"},
                              {"seq", lse.seq, q.seq, "seq of q"},
                              {"heads", lse.heads, q.heads, "heads of q"},
                              {"dim", lse.dim, 1, "one value a row"}});
    check_memory(lse_operand, device);
  }
  check_scalars(args, device);
}

}  // namespace streamattn

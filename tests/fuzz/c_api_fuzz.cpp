// Reads bytes as the structs of the C functions, and calls these on the CPU. Tensors have memory
// for what they say, or none.
#include <array>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "streamattn/c_api.h"
#include "tests/fuzz/fuzz_loop.h"

namespace streamattn {
namespace {

/// Choices that the bytes of a text make; all of them the first where the text has ended.
class Choices {
 public:
  explicit Choices(const std::string& text) : text_(text) {}

  std::size_t below(std::size_t count) {
    return at_ < text_.size() ? static_cast<unsigned char>(text_[at_++]) % count : 0;
  }
  template <class Value, std::size_t count>
  Value of(const Value (&values)[count]) {
    return values[below(count)];
  }
  /// `usual`, or now and then something else.
  std::int64_t number(std::int64_t usual) {
    constexpr std::int64_t others[] = {
        0,         1,        2,  3,       5,         16,        17,
        64,        -1,       -7, 1 << 20, INT32_MAX, INT32_MIN, std::int64_t{1} << 40,
        INT64_MAX, INT64_MIN};
    return below(96) != 0 ? usual : of(others);
  }

 private:
  const std::string& text_;
  std::size_t at_ = 0;
};

constexpr std::size_t memory_bytes = 1 << 16, most_elements = memory_bytes / 4;

/// Memory for tensors, one each.
class Memory {
 public:
  /// Null where there is not enough for all elements of `tensor`, of 4 bytes at the most.
  void* place(const streamattn_tensor& tensor) {
    const std::int64_t sizes[] = {tensor.batch, tensor.seq, tensor.heads, tensor.dim};
    const std::int64_t strides[] = {tensor.batch_stride, tensor.seq_stride, tensor.head_stride, 1};
    double first = 0, last = 0;
    for (int i = 0; i < 4; i++) {
      const double way = static_cast<double>(sizes[i] - 1) * static_cast<double>(strides[i]);
      (way < 0 ? first : last) += way;
    }
    if (last - first >= static_cast<double>(most_elements)) return nullptr;
    return next() + 4 * static_cast<std::int64_t>(-first);
  }

  unsigned char* next() {
    if (used_ == blocks_.size()) blocks_.emplace_back(memory_bytes, 0x3C);
    return blocks_[used_++].data();
  }
  void reuse() { used_ = 0; }

 private:
  std::vector<std::vector<unsigned char>> blocks_;
  std::size_t used_ = 0;
};

/// The calls of one text.
class Calls {
 public:
  Calls(const std::string& text, Memory& memory) : choices_(text), memory_(memory) {}

  void run(streamattn_jit* jit) {
    const streamattn_problem what = problem();
    const streamattn_shape shape = {sizeof shape, choices_.number(batch_),
                                    choices_.number(kv_heads_), choices_.number(q_len_),
                                    choices_.number(kv_len_)};
    const streamattn_kernel* kernel = nullptr;
    switch (choices_.below(4)) {
      case 0:
        if (told(streamattn_forward_kernel(jit, &what, &shape, &kernel))) forward(kernel);
        return;
      case 1:
        if (told(streamattn_backward_kernel(jit, &what, &shape, &kernel))) backward(kernel);
        return;
      case 2:
        if (told(streamattn_append_kernel(jit, &what, &shape, &kernel))) append(kernel);
        return;
      default:
        if (told(streamattn_merge_kernel(jit, &what, &shape, &kernel))) merge(kernel);
    }
  }

 private:
  /// Whether a call succeeded. One that did not must say why.
  static bool told(streamattn_status status) {
    if (status == STREAMATTN_OK) return true;
    if (status == STREAMATTN_INTERNAL_ERROR || *streamattn_last_error() == '\0')
      report_fault(streamattn_status_name(status), streamattn_last_error());
    return false;
  }

  streamattn_problem problem() {
    constexpr const char* masks[] = {nullptr, "k <= q", "k > q - n", "doc[q] == doc[k]", "k <"};
    constexpr const char* scores[] = {nullptr, "score + slope[head] * (k - q)", "k <= q"};
    constexpr const char* sinks[] = {nullptr, nullptr, "slope[head]"};
    streamattn_problem what = {};
    what.struct_size = choices_.number(sizeof what);
    what.dtype = dtype_ = static_cast<std::int32_t>(choices_.number(1 + choices_.below(3)));
    what.out_dtype = static_cast<std::int32_t>(choices_.number(0));
    what.head_dim = static_cast<int>(choices_.number(dim_ = 8 * (1 + choices_.below(3))));
    what.value_head_dim = static_cast<int>(choices_.number(0));
    what.group_size = static_cast<int>(choices_.number(group_ = 1 + choices_.below(2)));
    what.mask = choices_.of(masks), what.score = choices_.of(scores);
    what.sink = choices_.of(sinks);
    const auto names = [&](const char* name) {
      for (const char* text : {what.mask, what.score, what.sink})
        if (text != nullptr && std::strstr(text, name) != nullptr) return true;
      return false;
    };
    names_n_ = names("- n"), names_doc_ = names("doc"), names_slope_ = names("slope");
    what.q_layout = static_cast<std::int32_t>(choices_.number(0));
    what.kv_layout =
        static_cast<std::int32_t>(choices_.number(is_paged_ = choices_.below(4) == 0 ? 2 : 0));
    what.q_lens = static_cast<int>(choices_.number(0));
    has_kv_lens_ = is_paged_ != 0 || choices_.below(8) == 0;
    what.kv_lens = static_cast<int>(choices_.number(has_kv_lens_));
    what.dropout = static_cast<int>(choices_.number(0));
    return what;
  }

  streamattn_tensor tensor(std::int64_t seq, std::int64_t heads, std::int64_t dim) {
    streamattn_tensor made = {};
    made.dtype = static_cast<std::int32_t>(choices_.number(dim == 1 ? STREAMATTN_F32 : dtype_));
    made.batch = choices_.number(batch_), made.seq = choices_.number(seq);
    made.heads = choices_.number(heads), made.dim = choices_.number(dim);
    made.batch_stride = choices_.number(seq * heads * dim);
    made.seq_stride = choices_.number(heads * dim);
    made.head_stride = choices_.number(dim);
    if (choices_.below(96) != 0) made.data = memory_.place(made);
    return made;
  }

  /// What every launch has. Names are kept for as long as this lives.
  template <class Args>
  void fill_launch(Args& args) {
    args.struct_size = choices_.number(sizeof args);
    if (choices_.below(8) == 0) args.scale = &scale_;
    if (choices_.below(8) == 0) args.q_offset = &(q_offset_ = choices_.number(5));
    args.k_offset = choices_.number(0);
    if (choices_.below(8) == 0)
      args.q_rows = &(q_rows_ = {choices_.number(0), choices_.number(q_len_)});
    if (choices_.below(8) == 0)
      args.kv_rows = &(kv_rows_ = {choices_.number(0), choices_.number(kv_len_)});
    args.max_sms = static_cast<int>(choices_.number(1));
    args.dropout.rate = choices_.below(96) == 0 ? 0.5F : 0;
    named_scalars_[0] = {"n", static_cast<double>(choices_.number(4))};
    const auto named = [&](const char* name, std::int32_t type, std::int64_t size) {
      streamattn_named_tensor made = {name, memory_.next(), type, 1, {size}, {1}};
      if (choices_.below(96) == 0) made.rank = static_cast<std::int32_t>(choices_.number(2));
      return made;
    };
    // As many as a problem can name: a larger count is refused before they are read.
    named_tensors_.fill(named("slope", STREAMATTN_F32, heads()));
    if (names_doc_) named_tensors_[names_slope_] = named("doc", STREAMATTN_I32, 64);
    args.scalars = named_scalars_.data(), args.scalar_count = names_n_;
    args.tensors = named_tensors_.data();
    args.tensor_count = choices_.number(names_doc_ + names_slope_);
  }

  streamattn_sequences sequences() {
    for (int i = 0; i < 64; i++) table_[i] = static_cast<std::int32_t>(choices_.below(3)) - 1;
    for (int i = 0; i < 8; i++) lens_[i] = static_cast<std::int32_t>(choices_.number(3));
    streamattn_sequences made = {};
    made.batch = choices_.number(0);
    if (made.batch > 4) made.batch = 4;  // as many as there are lengths
    if (has_kv_lens_ != (choices_.below(96) == 0)) made.kv_lens = lens_.data();
    if (choices_.below(96) == 0) made.q_lens = lens_.data();
    if (choices_.below(96) == 0) made.cu_seqlens_q = lens_.data();
    if (choices_.below(96) == 0) made.cu_seqlens_kv = lens_.data();
    if (is_paged_ != 0) made.block_table = table_.data();
    made.pages = is_paged_ != 0 ? 2 : 0;
    made.max_q_len = choices_.number(0), made.max_kv_len = choices_.number(0);
    return made;
  }

  void forward(const streamattn_kernel* kernel) {
    streamattn_forward_args args = {};
    fill_launch(args);
    args.q = tensor(q_len_, heads(), dim_), args.k = tensor(kv_len_, kv_heads_, dim_);
    args.v = tensor(kv_len_, kv_heads_, dim_), args.o = tensor(q_len_, heads(), dim_);
    args.lse = tensor(q_len_, heads(), 1);
    args.sequences = sequences();
    std::size_t bytes = 0;
    told(streamattn_forward_workspace(kernel, &args, &bytes));
    told(streamattn_launch_forward(kernel, &args, nullptr));
  }

  void backward(const streamattn_kernel* kernel) {
    streamattn_backward_args args = {};
    fill_launch(args);
    args.q = tensor(q_len_, heads(), dim_), args.k = tensor(kv_len_, kv_heads_, dim_);
    args.v = tensor(kv_len_, kv_heads_, dim_), args.o = tensor(q_len_, heads(), dim_);
    args.d_o = tensor(q_len_, heads(), dim_), args.d_q = tensor(q_len_, heads(), dim_);
    args.d_k = tensor(kv_len_, kv_heads_, dim_), args.d_v = tensor(kv_len_, kv_heads_, dim_);
    args.lse = tensor(q_len_, heads(), 1);
    args.accumulate = choices_.below(4) == 0;
    gradient_ = {"slope", reinterpret_cast<float*>(memory_.next()), {1}};
    args.gradients = &gradient_, args.gradient_count = choices_.below(2);
    std::size_t bytes = 0;
    told(streamattn_backward_workspace(kernel, &args, &bytes));
    told(streamattn_launch_backward(kernel, &args, nullptr));
  }

  void append(const streamattn_kernel* kernel) {
    streamattn_append_args args = {};
    args.struct_size = choices_.number(sizeof args);
    args.new_k = tensor(q_len_, kv_heads_, dim_), args.new_v = tensor(q_len_, kv_heads_, dim_);
    args.k = tensor(kv_len_, kv_heads_, dim_), args.v = tensor(kv_len_, kv_heads_, dim_);
    if (choices_.below(2) == 0) args.q = tensor(q_len_, heads(), dim_);
    if (choices_.below(2) == 0) args.rotated_q = tensor(q_len_, heads(), dim_);
    args.rope_style = static_cast<std::int32_t>(choices_.number(choices_.below(3)));
    args.rope_dim = static_cast<int>(choices_.number(0));
    constexpr double numbers[] = {0, 0, 0, 0, 0, 0, 1, 10000, -1, 1e308, 1e-308, INFINITY, NAN};
    args.rope_theta = choices_.of(numbers), args.rope_factor = choices_.of(numbers);
    args.k_offset = choices_.number(0);
    args.sequences = sequences();
    args.max_sms = static_cast<int>(choices_.number(1));
    told(streamattn_launch_append(kernel, &args, nullptr));
  }

  void merge(const streamattn_kernel* kernel) {
    streamattn_merge_args args = {};
    args.struct_size = choices_.number(sizeof args);
    batch_ = 4;
    args.share_o = tensor(q_len_, heads(), dim_), args.share_lse = tensor(q_len_, heads(), 1);
    batch_ = 2;
    args.o = tensor(q_len_, heads(), dim_), args.lse = tensor(q_len_, heads(), 1);
    args.max_sms = static_cast<int>(choices_.number(1));
    told(streamattn_launch_merge(kernel, &args, nullptr));
  }

  std::int64_t heads() const { return group_ * kv_heads_; }

  Choices choices_;
  Memory& memory_;
  std::int64_t batch_ = 2, q_len_ = 5, kv_len_ = 7, kv_heads_ = 2, group_ = 1, dim_ = 8;
  std::int32_t dtype_ = 0;
  int is_paged_ = 0;
  bool names_n_ = false, names_doc_ = false, names_slope_ = false, has_kv_lens_ = false;
  float scale_ = 0.3F;
  std::int64_t q_offset_ = 0;
  streamattn_rows q_rows_ = {}, kv_rows_ = {};
  std::array<streamattn_named_scalar, 1> named_scalars_ = {};
  std::array<streamattn_named_tensor, 6> named_tensors_ = {};
  std::array<std::int32_t, 64> table_ = {};
  std::array<std::int32_t, 8> lens_ = {};
  streamattn_named_gradient gradient_ = {};
};

void call(const std::string& text) {
  static Memory memory;
  static streamattn_jit* const jit = [] {
    const streamattn_jit_options options = {.struct_size = sizeof options, .target = "cpu"};
    streamattn_jit* made = nullptr;
    if (streamattn_jit_create(&options, &made) != STREAMATTN_OK)
      report_fault("no jit", streamattn_last_error());
    return made;
  }();
  memory.reuse();
  Calls(text, memory).run(jit);
}

TextSource bytes_of(std::uint64_t seed) {
  return [random = std::mt19937_64(seed)]() mutable {
    std::string text(600, '\0');
    for (char& byte : text) byte = static_cast<char>(random());
    return text;
  };
}

}  // namespace
}  // namespace streamattn

int main(int argc, char** argv) {
  return streamattn::fuzz_main(argc, argv, streamattn::call, streamattn::bytes_of);
}

// Training with the library: one layer of attention with dropout learns to look things up. Q, K and
// V are projected on the host in plain loops, the library goes forward and back through attention,
// on a GPU where there is one. A twin does the same all in float64, from the same weights on the
// same data, and drops the same attention weights, which it finds by their definition
// (docs/dropout.md). The two curves of the loss must agree.
#include <streamattn/jit.h>

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <vector>

using namespace streamattn;

namespace {

// A token has a key, a value, and a question: the key of some token up to here, whose value is the
// answer.
constexpr int batch = 4, seq = 32, features = 8, inputs = 3 * features;
constexpr int heads = 2, head_dim = 16, width = heads * head_dim;
constexpr int tokens = batch * seq, steps = 200;
constexpr double learning_rate = 0.1;
constexpr float dropout_rate = 0.1F;
constexpr std::uint64_t seed = 2026;

using Matrix = std::vector<double>;  // row by row
/// Of `rows` x `inner` and `inner` x `columns`.
Matrix product(const Matrix& a, const Matrix& b, int rows, int inner, int columns) {
  Matrix c(static_cast<std::size_t>(rows) * columns);
  for (int i = 0; i < rows; ++i)
    for (int k = 0; k < inner; ++k)
      for (int j = 0; j < columns; ++j) c[i * columns + j] += a[i * inner + k] * b[k * columns + j];
  return c;
}

Matrix transposed(const Matrix& a, int rows, int columns) {
  Matrix b(a.size());
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < columns; ++j) b[j * rows + i] = a[i * columns + j];
  return b;
}

/// `rows` x `columns`, random.
Matrix initial(int rows, int columns, std::mt19937_64& bits) {
  std::normal_distribution<double> distribution(0, 1 / std::sqrt(static_cast<double>(rows)));
  Matrix values(static_cast<std::size_t>(rows) * columns);
  for (double& value : values) value = distribution(bits);
  return values;
}

/// The data of a step.
struct Lesson {
  explicit Lesson(int step) : x(tokens * inputs), answers(tokens * features) {
    std::mt19937_64 bits(step);
    for (double& value : x) value = std::normal_distribution<double>()(bits);
    for (int b = 0; b < batch; ++b)
      for (int i = 0; i < seq; ++i) {
        const int asked = std::uniform_int_distribution<int>(0, i)(bits);
        const double *from = &x[(b * seq + asked) * inputs], *value = from + features;
        std::copy_n(from, features, &x[(b * seq + i) * inputs + 2 * features]);
        std::copy_n(value, features, &answers[(b * seq + i) * features]);
      }
  }

  Matrix x, answers;  // [tokens, inputs], [tokens, features]
};

/// Causal attention of a step, [tokens, heads * head_dim] each, and the way back.
struct Gradients {
  Matrix q, k, v;
};
class Attention {
 public:
  virtual ~Attention() = default;
  virtual Matrix forward(const Matrix& q, const Matrix& k, const Matrix& v,
                         const Dropout& dropout) = 0;
  virtual Gradients backward(const Matrix& d_o) = 0;  // of the last forward()
};

// ---- In float64, by definition
/// Philox4x32 with 7 rounds.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> c, std::uint64_t key) {
  auto low = static_cast<std::uint32_t>(key), high = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 7; ++round, low += 0x9E3779B9, high += 0xBB67AE85) {
    const std::uint64_t a = c[0] * std::uint64_t{0xD2511F53}, b = c[2] * std::uint64_t{0xCD9E8D57};
    c = {static_cast<std::uint32_t>(b >> 32) ^ c[1] ^ low, static_cast<std::uint32_t>(b),
         static_cast<std::uint32_t>(a >> 32) ^ c[3] ^ high, static_cast<std::uint32_t>(a)};
  }
  return c;
}

bool is_kept(const Dropout& dropout, int b, int h, int q, int k) {
  const std::uint64_t stream = dropout.offset + 0xC13FA9A902A6328F * h + 0x91E10DA5C79E7B1D * b;
  const auto words =
      philox({static_cast<std::uint32_t>(k / 16), static_cast<std::uint32_t>(q),
              static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(stream >> 32)},
             dropout.seed);
  const int byte = k % 16 / 8 * 2 + k % 2;
  return static_cast<int>(words[k % 8 / 2] >> 8 * byte & 0xFF) < dropout.kept_of_256();
}

class Twin final : public Attention {
 public:
  Matrix forward(const Matrix& q, const Matrix& k, const Matrix& v,
                 const Dropout& dropout) override {
    q_ = q, k_ = k, v_ = v;
    p_.assign(static_cast<std::size_t>(tokens) * heads * seq, 0), z_ = p_;
    Matrix o(tokens * width);
    each_query([&](int b, int h, int i, double* p, double* z) {
      double sum = 0;
      for (int j = 0; j <= i; ++j)
        sum += p[j] = std::exp(dot(q, at(b, i, h), k, at(b, j, h)) / root_);
      for (int j = 0; j <= i; ++j) {
        p[j] /= sum;
        z[j] = is_kept(dropout, b, h, i, j) ? 1 / dropout.keep_probability() : 0;
        for (int d = 0; d < head_dim; ++d) o[at(b, i, h) + d] += p[j] * z[j] * v[at(b, j, h) + d];
      }
    });
    o_ = o;
    return o;
  }

  Gradients backward(const Matrix& d_o) override {
    Gradients to{Matrix(tokens * width), Matrix(tokens * width), Matrix(tokens * width)};
    each_query([&](int b, int h, int i, const double* p, const double* z) {
      const int row = at(b, i, h);
      const double delta = dot(d_o, row, o_, row);
      for (int j = 0; j <= i; ++j) {
        const int key = at(b, j, h);
        const double d_s = p[j] * (dot(d_o, row, v_, key) * z[j] - delta) / root_;
        for (int d = 0; d < head_dim; ++d) {
          to.q[row + d] += d_s * k_[key + d];
          to.k[key + d] += d_s * q_[row + d];
          to.v[key + d] += p[j] * z[j] * d_o[row + d];
        }
      }
    });
    return to;
  }

 private:
  static int at(int b, int token, int h) { return ((b * seq + token) * heads + h) * head_dim; }

  static double dot(const Matrix& a, int i, const Matrix& b, int j) {
    double sum = 0;
    for (int d = 0; d < head_dim; ++d) sum += a[i + d] * b[j + d];
    return sum;
  }

  template <class Visit>
  void each_query(const Visit& visit) {
    for (int b = 0; b < batch; ++b)
      for (int h = 0; h < heads; ++h)
        for (int i = 0; i < seq; ++i) {
          const std::size_t row = static_cast<std::size_t>((b * heads + h) * seq + i) * seq;
          visit(b, h, i, &p_[row], &z_[row]);
        }
  }

  const double root_ = std::sqrt(static_cast<double>(head_dim));
  Matrix q_, k_, v_, o_;
  Matrix p_, z_;  // [batch, heads, query, key]: probabilities; 1 / keep where kept, else 0
};

// ---- By the library

/// Memory of the jit's device, by way of the driver, or of the host.
class Memory {
 public:
  explicit Memory(const Jit& jit) : on_gpu_(jit.device() >= 0) {
    if (!on_gpu_) return;
    int device = 0;
    void* context = nullptr;
    call("cuInit", 0U);
    call("cuDeviceGet", &device, jit.device());
    call("cuDevicePrimaryCtxRetain", &context, device);
    call("cuCtxSetCurrent", context);
  }

  /// Lives as long as the process.
  void* allocate(std::size_t bytes) {
    void* memory = nullptr;
    if (!on_gpu_) return ::operator new(bytes, std::align_val_t{256});
    call("cuMemAlloc_v2", &memory, std::max<std::size_t>(bytes, 1));
    return memory;
  }
  void upload(void* to, const void* from, std::size_t bytes) {
    copy("cuMemcpyHtoD_v2", to, from, bytes);
  }
  /// Once what was launched is done.
  void download(void* to, const void* from, std::size_t bytes) {
    copy("cuMemcpyDtoH_v2", to, from, bytes);
  }

 private:
  void copy(const char* name, void* to, const void* from, std::size_t bytes) {
    if (on_gpu_)
      call(name, to, from, bytes);
    else
      std::memcpy(to, from, bytes);
  }
  template <class... Arguments>
  void call(const char* name, Arguments... arguments) {
    auto* entry = reinterpret_cast<int (*)(Arguments...)>(dlsym(library_, name));
    const int result = entry != nullptr ? entry(arguments...) : -1;
    if (result != 0)
      throw Error(ErrorCode::launch_failed, std::string(name) + " gave " + std::to_string(result));
  }

  bool on_gpu_;
  void* library_ = on_gpu_ ? dlopen("libcuda.so.1", RTLD_NOW) : nullptr;
};

using Bf16 = std::uint16_t;

Bf16 to_bf16(double value) {
  const auto rounded = static_cast<float>(value);
  std::uint32_t word;
  std::memcpy(&word, &rounded, sizeof(word));
  return static_cast<Bf16>((word + 0x7FFF + (word >> 16 & 1)) >> 16);
}

double from(Bf16 bits) {
  const std::uint32_t word = std::uint32_t{bits} << 16;
  float value;
  std::memcpy(&value, &word, sizeof(value));
  return value;
}
double from(float value) { return value; }

/// A tensor of the device, [batch, seq, heads, `dim`].
template <class T>
class Array {
 public:
  Array(Memory& memory, int dim)
      : memory_(memory),
        dim_(dim),
        host_(static_cast<std::size_t>(tokens) * heads * dim),
        device_(static_cast<T*>(memory.allocate(host_.size() * sizeof(T)))) {}

  Tensor view() const {
    constexpr DType type = std::is_same_v<T, float> ? DType::f32 : DType::bf16;
    return Tensor::bshd(device_, type, batch, seq, heads, dim_);
  }
  void set(const Matrix& values) {
    std::ranges::transform(values, host_.begin(), to_bf16);
    memory_.upload(device_, host_.data(), host_.size() * sizeof(T));
  }
  Matrix get() {
    memory_.download(host_.data(), device_, host_.size() * sizeof(T));
    Matrix values;
    for (const T& value : host_) values.push_back(from(value));
    return values;
  }

 private:
  Memory& memory_;
  int dim_;
  std::vector<T> host_;
  T* device_;
};

/// Gradients are float32, the rest is bf16.
class Layer final : public Attention {
 public:
  explicit Layer(const Jit& jit)
      : memory_(jit),
        forward_(jit.forward(problem(), shape())),
        backward_(jit.backward(problem(), shape())) {
    args_.workspace = scratch(forward_.workspace_bytes(args_));
    back_.workspace = scratch(backward_.workspace_bytes(back_));
  }

  Matrix forward(const Matrix& q, const Matrix& k, const Matrix& v,
                 const Dropout& dropout) override {
    q_.set(q), k_.set(k), v_.set(v);
    args_.dropout = back_.dropout = dropout;  // the way back draws the same again
    forward_.launch(args_);
    return o_.get();
  }

  Gradients backward(const Matrix& d_o) override {
    d_o_.set(d_o);
    backward_.launch(back_);
    return {d_q_.get(), d_k_.get(), d_v_.get()};
  }

 private:
  static Problem problem() { return {.head_dim = head_dim, .mask = causal(), .dropout = true}; }
  static Shape shape() { return {.batch = batch, .kv_heads = heads, .q_len = seq, .kv_len = seq}; }
  Workspace scratch(std::size_t bytes) { return {memory_.allocate(bytes), bytes}; }

  Memory memory_;
  const ForwardKernel& forward_;
  const BackwardKernel& backward_;
  Array<Bf16> q_{memory_, head_dim}, k_{memory_, head_dim}, v_{memory_, head_dim};
  Array<Bf16> o_{memory_, head_dim}, d_o_{memory_, head_dim};
  Array<float> lse_{memory_, 1};
  Array<float> d_q_{memory_, head_dim}, d_k_{memory_, head_dim}, d_v_{memory_, head_dim};
  ForwardArgs args_{
      .q = q_.view(), .k = k_.view(), .v = v_.view(), .o = o_.view(), .lse = lse_.view()};
  BackwardArgs back_{.q = q_.view(),
                     .k = k_.view(),
                     .v = v_.view(),
                     .o = o_.view(),
                     .lse = lse_.view(),
                     .d_o = d_o_.view(),
                     .d_q = d_q_.view(),
                     .d_k = d_k_.view(),
                     .d_v = d_v_.view()};
};

// ---- Training

/// Weights of the layer, and the steps that they take.
class Model {
 public:
  explicit Model(Attention& attention) : attention_(attention) {
    std::mt19937_64 bits(seed);
    for (Matrix* weights : {&q_, &k_, &v_}) *weights = initial(inputs, width, bits);
    out_ = initial(width, features, bits);
  }

  /// Learns from a lesson; returns the mean squared error beforehand.
  double step(int number) {
    const Lesson lesson(number);
    const auto projected = [&](const Matrix& weights) {
      return product(lesson.x, weights, tokens, inputs, width);
    };
    const Matrix o = attention_.forward(
        projected(q_), projected(k_), projected(v_),
        {.rate = dropout_rate, .seed = seed, .offset = static_cast<std::uint64_t>(number)});
    Matrix d_y = product(o, out_, tokens, width, features);
    double loss = 0;
    for (std::size_t i = 0; i < d_y.size(); ++i) {
      d_y[i] -= lesson.answers[i];
      loss += d_y[i] * d_y[i] / (tokens * features);
      d_y[i] *= 2.0 / tokens;
    }
    const Gradients d = attention_.backward(
        product(d_y, transposed(out_, width, features), tokens, features, width));
    descend(out_, product(transposed(o, tokens, width), d_y, width, tokens, features));
    const Matrix x = transposed(lesson.x, tokens, inputs);
    for (const auto& [weights, gradient] :
         {std::pair(&q_, &d.q), std::pair(&k_, &d.k), std::pair(&v_, &d.v)})
      descend(*weights, product(x, *gradient, inputs, tokens, width));
    return loss;
  }

 private:
  static void descend(Matrix& weights, const Matrix& gradient) {
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i] -= learning_rate * gradient[i];
  }

  Attention& attention_;
  Matrix q_, k_, v_;  // [inputs, heads * head_dim]
  Matrix out_;        // [heads * head_dim, features]
};

}  // namespace

int main(int argc, char** argv) try {
  JitOptions options{.cpu_fallback = true};
  if (argc > 1) options.target = argv[1];  // "cpu"
  const Jit jit = Jit::create(options);
  Layer layer(jit);
  Twin twin;
  Model model(layer), exact(twin);
  double first = 0, last = 0, worst = 0;
  for (int step = 0; step < steps; ++step) {
    const double loss = model.step(step), expected = exact.step(step);
    worst = std::max(worst, std::abs(loss - expected));
    if (step < 20) first += expected / 20;
    if (step >= steps - 20) last += expected / 20;
    if (step % 20 == 0)
      std::cout << "step " << step << ": loss " << loss << ", in float64 " << expected << "\n";
  }
  std::cout << "from " << first << " to " << last << "; the curves differ by " << worst
            << " at most\n";

  // bf16 has 8 bits: Q, K, V, O and dO are rounded to it at every step, and the models drift apart.
  constexpr double tolerance = 0.01;
  if (!(worst < tolerance * first && last < 0.4 * first)) {
    std::cerr << "the curves must agree to " << tolerance << " of " << first
              << " and fall below 0.4 of it\n";
    return 1;
  }
  return 0;
} catch (const Error& error) {
  std::cerr << name(error.code()) << ": " << error.what() << "\n";
  return 1;
}

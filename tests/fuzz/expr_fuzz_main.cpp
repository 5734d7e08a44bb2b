// Feeds the fuzz target with mutated texts: "expr_fuzz SECONDS [SEED]", or with one file:
// "expr_fuzz FILE".
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz_loop.h"
#include "tests/support/random_expr.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size);

namespace {

using namespace streamattn;

constexpr std::size_t longest_text = 4000;

const std::vector<std::string>& words() {
  static const std::vector<std::string> all = {"q",
                                               "k",
                                               "batch",
                                               "head",
                                               "kv_head",
                                               "q_len",
                                               "kv_len",
                                               "score",
                                               "n",
                                               "cap:f32",
                                               "doc[batch, k]",
                                               "bias:f32[head, q, k]",
                                               "b:bf16[k]",
                                               "t:u8[k // 2]",
                                               "0",
                                               "1",
                                               "2",
                                               "7",
                                               "64",
                                               "2147483647",
                                               "2147483646",
                                               "-2147483647",
                                               "65536",
                                               "1e38",
                                               "1e-45",
                                               "0.5",
                                               "true",
                                               "false",
                                               " + ",
                                               " - ",
                                               " * ",
                                               " / ",
                                               " // ",
                                               " % ",
                                               " < ",
                                               " <= ",
                                               " > ",
                                               " >= ",
                                               " == ",
                                               " != ",
                                               " && ",
                                               " || ",
                                               "!",
                                               "-",
                                               "(",
                                               ")",
                                               "[",
                                               "]",
                                               ", ",
                                               ":",
                                               "min(",
                                               "max(",
                                               "abs(",
                                               "select(",
                                               "exp(",
                                               "log(",
                                               "tanh(",
                                               "sqrt(",
                                               "bit(",
                                               "k <= q",
                                               "k % 64",
                                               "k // 64 * 64",
                                               "k - k % 8",
                                               "\n",
                                               "\xc3\xa4",
                                               "\x1b"};
  return all;
}

bool is_read(const std::string& text) {
  for (const ExprRole role : {ExprRole::mask, ExprRole::score}) {
    try {
      Expr::parse(text, role);
      return true;
    } catch (const Error&) {
    }
  }
  return false;
}

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed)
      : random_(seed), exprs_(seed, {.depth = 3, .has_huge_numbers = true}) {
    for (int i = 0; i < 200; i++) {
      corpus_.push_back(exprs_.mask().text());
      corpus_.push_back(exprs_.score().text());
    }
  }

  std::string next() {
    std::string text = corpus_[below(corpus_.size())];
    for (std::size_t changes = 1 + below(4); changes > 0; changes--) change(text);
    if (text.size() > longest_text) text.resize(longest_text);
    if (below(20) == 0 && is_read(text)) corpus_[below(corpus_.size())] = text;
    if (below(50) == 0)
      corpus_[below(corpus_.size())] = below(2) == 0 ? exprs_.mask().text() : exprs_.score().text();
    return text;
  }

 private:
  std::size_t below(std::size_t count) {
    return std::uniform_int_distribution<std::size_t>(0, count - 1)(random_);
  }

  // A piece between brackets or blanks, most often one that can stand alone.
  std::string piece(const std::string& text) {
    const std::size_t begin = text.find_first_of("( ", below(text.size() + 1));
    if (begin == std::string::npos) return text;
    int depth = 0;
    for (std::size_t end = begin; end < text.size(); end++) {
      depth += text[end] == '(' ? 1 : text[end] == ')' ? -1 : 0;
      if (depth <= 0 && end > begin) return text.substr(begin, end + 1 - begin);
    }
    return text.substr(begin);
  }

  void change(std::string& text) {
    const std::size_t place = below(text.size() + 1);
    const std::string& word = words()[below(words().size())];
    const std::string& other = corpus_[below(corpus_.size())];
    switch (below(8)) {
      case 0:
        text.insert(place, word);
        return;
      case 1:
        text.replace(place, 1 + below(4), word);
        return;
      case 2:
        text.erase(place, 1 + below(6));
        return;
      case 3:
        if (place < text.size()) text[place] = static_cast<char>(below(256));
        return;
      case 4: {
        const std::string whole = piece(text);
        if (const std::size_t at = text.find(whole); at != std::string::npos)
          text.replace(at, whole.size(), piece(other));
        return;
      }
      case 5:
        text.insert(place, piece(other));
        return;
      case 6: {
        constexpr const char* joints[] = {" && ", " || ", " + ", " * ", " - ", " < ", " == "};
        text = "(" + text + ")" + joints[below(7)] + "(" + other + ")";
        return;
      }
      default: {
        constexpr const char* calls[] = {"!(", "-(", "abs(", "tanh(", "exp(", "(k < q || "};
        text = calls[below(6)] + text + ")";
      }
    }
  }

  std::mt19937_64 random_;
  RandomExprs exprs_;
  std::vector<std::string> corpus_;
};

}  // namespace

int main(int argc, char** argv) {
  const auto run = [](const std::string& text) {
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  };
  return fuzz_main(argc, argv, run, [](std::uint64_t seed) -> TextSource {
    return [mutator = Mutator(seed)]() mutable { return mutator.next(); };
  });
}

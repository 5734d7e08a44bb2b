// Mutations, of which a text gets a few.
#include "tests/fuzz/text_mutator.h"

namespace streamattn {
namespace {

constexpr std::size_t longest_text = 20000;

}  // namespace

TextMutator::TextMutator(std::uint64_t seed, std::vector<std::string> corpus,
                         std::vector<std::string> words)
    : random_(seed), corpus_(std::move(corpus)), words_(std::move(words)) {}

std::string TextMutator::next() {
  std::string text = corpus_[below(corpus_.size())];
  for (std::size_t changes = 1 + below(4); changes > 0; changes--) change(text);
  if (text.size() > longest_text) text.resize(longest_text);
  if (below(100) == 0) corpus_.push_back(text);
  return text;
}

std::size_t TextMutator::below(std::size_t count) {
  return std::uniform_int_distribution<std::size_t>(0, count - 1)(random_);
}

std::string TextMutator::line_of(const std::string& text) {
  const std::size_t begin = text.rfind('\n', below(text.size() + 1)) + 1;  // 0 where there is none
  return text.substr(begin, text.find('\n', begin) + 1 - begin);
}

void TextMutator::change(std::string& text) {
  const std::size_t place = below(text.size() + 1);
  switch (below(8)) {
    case 0:
      text.insert(place, words_[below(words_.size())]);
      return;
    case 1: {  // a word or a number in the place of one
      const char* letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789.-";
      const std::size_t begin = text.find_first_of(letters, place);
      if (begin == std::string::npos) return;
      const std::size_t end = text.find_first_not_of(letters, begin);
      text.replace(begin, (end == std::string::npos ? text.size() : end) - begin,
                   words_[below(words_.size())]);
      return;
    }
    case 2:
      text.erase(place, 1 + below(6));
      return;
    case 3:
      if (place < text.size()) text[place] = static_cast<char>(below(256));
      return;
    case 4:
      text.erase(place, line_of(text).size());
      return;
    case 5:
      text.insert(text.rfind('\n', place) + 1, line_of(corpus_[below(corpus_.size())]));
      return;
    case 6: {  // a digit
      const std::size_t digit = text.find_first_of("0123456789", place);
      if (digit != std::string::npos) text[digit] = static_cast<char>('0' + below(10));
      return;
    }
    default: {
      const std::string& other = corpus_[below(corpus_.size())];
      text.replace(place, below(200), other, below(other.size() + 1), below(200));
    }
  }
}

}  // namespace streamattn

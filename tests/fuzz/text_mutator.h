// Texts of lines that are nearly right.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace streamattn {

/// Changes texts of a corpus a little: characters, words, lines, and pieces of each other.
class TextMutator {
 public:
  /// `words` are what the texts' readers know.
  TextMutator(std::uint64_t seed, std::vector<std::string> corpus, std::vector<std::string> words);

  std::string next();

 private:
  std::size_t below(std::size_t count);
  std::string line_of(const std::string& text);
  void change(std::string& text);

  std::mt19937_64 random_;
  std::vector<std::string> corpus_;
  const std::vector<std::string> words_;
};

}  // namespace streamattn

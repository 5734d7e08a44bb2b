// Tables of text: aligned for people, comma-separated for programs.
#pragma once

#include <llvm/Support/raw_ostream.h>

#include <string>
#include <vector>

namespace streamattn {

/// `value` with a fixed number of digits after the point.
std::string fixed(double value, int digits);

/// TFLOP/s in as many digits as a measurement deserves: "612.3" on a GPU, "0.0587" on a CPU.
std::string tflops_text(double tflops);

/// Rows of cells under a header. Every row has as many cells as the header.
class Table {
 public:
  explicit Table(std::vector<std::string> header);

  void add(std::vector<std::string> row);

  /// Columns two spaces apart; those whose cells all look like numbers are aligned to the right.
  void print(llvm::raw_ostream& out) const;

  /// RFC 4180.
  void print_csv(llvm::raw_ostream& out) const;

 private:
  std::vector<std::vector<std::string>> rows_;  // the header first
};

}  // namespace streamattn

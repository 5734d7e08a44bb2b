// Tables of text.
#include "tools/table.h"

#include <llvm/ADT/StringExtras.h>
#include <llvm/ADT/StringRef.h>
#include <llvm/Support/Format.h>

#include <algorithm>
#include <cassert>

namespace streamattn {
namespace {

bool looks_like_number(llvm::StringRef cell) {
  return cell.empty() || cell == "-" ||
         (cell.find_first_not_of("0123456789.e+-%") == llvm::StringRef::npos);
}

std::string csv_cell(llvm::StringRef cell) {
  if (cell.find_first_of(",\"\n") == llvm::StringRef::npos) return cell.str();
  std::string quoted = "\"";
  for (const char c : cell) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

std::string fixed(double value, int digits) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format("%.*f", digits, value);
  return text;
}

std::string tflops_text(double tflops) { return fixed(tflops, tflops < 10 ? 4 : 1); }

Table::Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }

void Table::add(std::vector<std::string> row) {
  assert(row.size() == rows_.front().size());
  rows_.push_back(std::move(row));
}

void Table::print(llvm::raw_ostream& out) const {
  const std::size_t columns = rows_.front().size();
  std::vector<std::size_t> widths(columns, 0);
  std::vector<bool> right(columns, true);
  for (std::size_t column = 0; column < columns; ++column) {
    for (const auto& row : rows_) {
      widths[column] = std::max(widths[column], row[column].size());
      if (&row != &rows_.front()) right[column] = right[column] && looks_like_number(row[column]);
    }
  }
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t column = 0; column < columns; ++column) {
      const std::string padding(widths[column] - row[column].size(), ' ');
      line += column == 0 ? "" : "  ";
      line += right[column] ? padding + row[column] : row[column] + padding;
    }
    out << llvm::StringRef(line).rtrim() << "\n";
  }
}

void Table::print_csv(llvm::raw_ostream& out) const {
  for (const auto& row : rows_) {
    for (std::size_t column = 0; column < row.size(); ++column) {
      out << (column == 0 ? "" : ",") << csv_cell(row[column]);
    }
    out << "\r\n";
  }
}

}  // namespace streamattn

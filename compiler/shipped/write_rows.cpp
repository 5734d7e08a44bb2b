// write_rows OUTPUT FUNCTION FILE...: a step of the build. Writes OUTPUT, a C++ file whose
// `std::span<const CompiledRow> FUNCTION()` returns the rows of TOML files as constants. The reader
// is that of every other table.
#include <llvm/Support/raw_ostream.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "compiler/knobs.h"
#include "compiler/schedule_rows.h"
#include "compiler/toml.h"
#include "streamattn/error.h"
#include "support/files.h"

namespace streamattn {
namespace {

std::string literal(std::string_view text) {
  std::string escaped;
  llvm::raw_string_ostream(escaped).write_escaped(llvm::StringRef(text.data(), text.size()));
  return '"' + escaped + '"';
}

std::string constant(bool value) { return value ? "true" : "false"; }
std::string constant(DType type) { return "DType::" + std::string(name(type)); }
std::string constant(SequenceLayout layout) {
  return "SequenceLayout::" + std::string(name(layout));
}
std::string constant(const NumberRange& range) {
  return "NumberRange{" + std::to_string(range.first) + ", " + std::to_string(range.last) + "}";
}
std::string constant(const Expr& expr) {
  const bool is_score = expr.type() == ExprType::real;
  return "ExprText{" + literal(expr.text()) + ", ExprRole::" + (is_score ? "score" : "mask") + "}";
}
std::string constant(const RowCondition& condition) {
  return "{" + literal(condition.key) + ", " +
         std::visit([](const auto& wanted) { return constant(wanted); }, condition.wanted) + "}";
}
std::string constant(std::int64_t value) { return std::to_string(value); }

/// Writes the arrays that rows point to, each in front of what names it.
class ConstantWriter {
 public:
  explicit ConstantWriter(llvm::raw_ostream& out) : out_(out) {}

  /// The name of a new array of `elements`; there are no empty arrays.
  template <class Element>
  std::string array(const char* type, const std::vector<Element>& elements) {
    if (elements.empty()) return "{}";
    const std::string name = "list_" + std::to_string(lists_++);
    out_ << "constexpr " << type << " " << name << "[] = {\n";
    for (const Element& element : elements) out_ << "    " << constant(element) << ",\n";
    out_ << "};\n";
    return name;
  }

  std::string row(const ScheduleRow& row) {
    const std::string conditions = array("CompiledCondition", row.conditions);
    const std::string knobs = array("std::int64_t", KnobAccess::values(row.schedule));
    const std::string operation =
        row.operation ? "Operation::" + std::string(name(*row.operation)) : "std::nullopt";
    return "{" + literal(row.target) + ", " + literal(row.device) + ", " + operation + ", " +
           conditions + ",\n     " + literal(row.schedule.family()) + ", " + knobs + ", " +
           literal(row.origin) + "}";
  }

 private:
  llvm::raw_ostream& out_;
  int lists_ = 0;
};

std::string rows_text(std::string_view function, const std::vector<ScheduleRow>& rows) {
  std::string text;
  llvm::raw_string_ostream out(text);
  out << "// Written by compiler/shipped/write_rows.cpp.\n"
         "#include \"compiler/shipped/compiled_rows.h\"\n\n"
         "namespace streamattn {\nnamespace {\n";
  ConstantWriter writer(out);
  std::string list;
  for (const ScheduleRow& row : rows) list += "    " + writer.row(row) + ",\n";
  out << "constexpr CompiledRow rows[] = {\n"
      << list << "};\n}  // namespace\n\nstd::span<const CompiledRow> " << function
      << "() { return rows; }\n\n}  // namespace streamattn\n";
  return text;
}

std::vector<ScheduleRow> read_rows(std::span<char*> paths) {
  std::vector<ScheduleRow> rows;
  for (const std::filesystem::path path : paths) {
    const FileContent file = read_regular_file(path, most_toml_bytes);
    const std::string origin = path.parent_path().filename() / path.filename();
    if (file.status != FileContent::Status::ok)
      throw Error(ErrorCode::invalid_config, path.native() + ": " + file.problem);
    for (ScheduleRow& row : read_schedule_rows(file.bytes, origin)) rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace
}  // namespace streamattn

int main(int count, char** given) try {
  using namespace streamattn;
  const std::span arguments(given, static_cast<std::size_t>(count));
  const char* output = arguments[1];
  const std::string text = rows_text(arguments[2], read_rows(arguments.subspan(3)));
  if (const int error = replace_file(output, text))
    throw Error(ErrorCode::invalid_config, std::string(output) + ": " + std::strerror(error));
  return 0;
} catch (const streamattn::Error& error) {
  std::fprintf(stderr, "write_rows: %s\n", error.what());
  return 1;
}

// Rows of configs/ as the build compiles them in: constants, which cost nothing to read.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "compiler/schedule_rows.h"

namespace streamattn {

/// An expression that is still to be parsed.
struct ExprText {
  std::string_view text;
  ExprRole role;
};

/// A RowCondition.
struct CompiledCondition {
  std::string_view key;
  std::variant<DType, ExprText, NumberRange, SequenceLayout, bool> wanted;
};

/// A ScheduleRow without its record, which is a third of a file and decides nothing.
struct CompiledRow {
  std::string_view target, device;
  std::optional<Operation> operation;
  std::span<const CompiledCondition> conditions;
  std::string_view family;
  std::span<const std::int64_t> knobs;  ///< a value for each, in the order of the family's table
  std::string_view origin;
};

/// The rows of configs/. What write_rows.cpp made of them at build time.
std::span<const CompiledRow> compiled_rows();

/// Rows that are shipped, as tables have them.
std::vector<std::shared_ptr<const ScheduleRow>> shipped_rows(std::span<const CompiledRow> compiled);

}  // namespace streamattn

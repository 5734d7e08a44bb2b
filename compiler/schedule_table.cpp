// Reading rows of schedules from TOML and matching them.
#include "streamattn/schedule_table.h"

#include <llvm/ADT/StringRef.h>
#include <llvm/Support/FormatVariadic.h>
#include <llvm/Support/MathExtras.h>
#include <llvm/Support/MemoryBuffer.h>
#include <toml++/toml.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "compiler/embedded.h"
#include "compiler/schedule_fields.h"
#include "streamattn/error.h"
#include "support/did_you_mean.h"

namespace streamattn {
namespace {

/// Inclusive at both ends.
struct Range {
  std::int64_t first = 0;
  std::int64_t last = std::numeric_limits<std::int64_t>::max();

  bool contains(std::int64_t value) const { return first <= value && value <= last; }
};

std::int64_t tiles(const Problem& problem, const Shape& shape) {
  const auto heads = llvm::SaturatingMultiply<std::uint64_t>(shape.kv_heads, problem.group_size);
  const auto rows = llvm::SaturatingMultiply<std::uint64_t>(shape.batch, heads);
  const auto count = llvm::SaturatingMultiply<std::uint64_t>(rows, (shape.q_len + 127) / 128);
  return static_cast<std::int64_t>(std::min<std::uint64_t>(count, Range{}.last));
}

/// A key of `when` that holds a number or a range.
struct NumberKey {
  std::string_view name;
  std::int64_t (*value)(const Problem& problem, const Shape& shape);
};

constexpr NumberKey number_keys[] = {
    {"head_dim", [](const Problem& p, const Shape&) -> std::int64_t { return p.head_dim; }},
    {"value_head_dim",
     [](const Problem& p, const Shape&) -> std::int64_t { return p.v_head_dim(); }},
    {"group_size", [](const Problem& p, const Shape&) -> std::int64_t { return p.group_size; }},
    {"q_len", [](const Problem&, const Shape& s) { return s.q_len; }},
    {"kv_len", [](const Problem&, const Shape& s) { return s.kv_len; }},
    {"batch", [](const Problem&, const Shape& s) { return s.batch; }},
    {"kv_heads", [](const Problem&, const Shape& s) { return s.kv_heads; }},
    {"tiles", tiles},
};

struct NumberCondition {
  const NumberKey* key;
  Range range;
};

struct Row {
  std::string_view target;  // a name of the target table
  std::optional<Operation> operation;
  std::optional<DType> dtype, out_dtype;
  std::optional<Expr> mask;
  std::vector<NumberCondition> numbers;
  Schedule schedule;
  std::string origin;

  bool fits(Operation wanted, const Problem& problem, const Shape& shape,
            const Target& where) const {
    return target == where.name && operation.value_or(wanted) == wanted &&
           (!dtype || *dtype == problem.dtype) &&
           (!out_dtype || *out_dtype == problem.output_dtype()) &&
           (!mask || *mask == problem.mask) &&
           std::ranges::all_of(numbers, [&](const NumberCondition& condition) {
             return condition.range.contains(condition.key->value(problem, shape));
           });
  }
};

/// "64..128", "2048..", "..512"; nothing for anything else.
std::optional<Range> parse_range(llvm::StringRef text) {
  Range range;
  const auto [first, last] = text.split("..");
  if (!text.contains("..") || (first.empty() && last.empty())) return std::nullopt;
  if (!first.empty() && first.getAsInteger(10, range.first)) return std::nullopt;
  if (!last.empty() && last.getAsInteger(10, range.last)) return std::nullopt;
  if (range.first < 0 || range.first > range.last) return std::nullopt;
  return range;
}

/// Reads one document; every complaint carries the place.
class Reader {
 public:
  explicit Reader(std::string_view origin) : origin_(origin) {}

  std::vector<Row> read(const toml::table& document) const {
    std::vector<Row> rows;
    for (const auto& [key, node] : document) {
      constexpr std::string_view known[] = {"schedule"};
      if (key.str() != known[0]) fail_unknown(key, "table", known);
      const toml::array* array = node.as_array();
      if (!array || !array->is_array_of_tables())
        fail(node.source(), "schedule is no [[schedule]]");
      for (const toml::node& row : *array) rows.push_back(read_row(*row.as_table()));
    }
    return rows;
  }

  [[noreturn]] void fail(const toml::source_region& place, const std::string& complaint) const {
    throw Error(ErrorCode::invalid_config,
                llvm::formatv("{0}:{1}:{2}: {3}", origin_, place.begin.line, place.begin.column,
                              complaint));
  }

 private:
  Row read_row(const toml::table& table) const {
    Row row;
    row.origin = llvm::formatv("{0}:{1}", origin_, table.source().begin.line);
    for (const auto& [key, node] : table) {
      constexpr std::string_view known[] = {"target", "when", "use"};
      if (key.str() == "target") {
        row.target = parsed(key, node, find_target).name;
      } else if (key.str() == "when") {
        read_when(row, inner_table(key, node));
      } else if (key.str() == "use") {
        read_use(row, inner_table(key, node));
      } else {
        fail_unknown(key, "key", known);
      }
    }
    if (row.target.empty()) fail(table.source(), "the row has no target, such as \"sm_90a\"");
    if (row.schedule.family.empty()) {
      fail(table.source(), "the row names no family, such as use = { family = \"flash_wgmma\" }");
    }
    return row;
  }

  void read_when(Row& row, const toml::table& when) const {
    for (const auto& [key, node] : when) {
      if (key.str() == "op") {
        row.operation = parsed(key, node, parse_operation);
      } else if (key.str() == "dtype") {
        row.dtype = parsed(key, node, parse_dtype);
      } else if (key.str() == "out_dtype") {
        row.out_dtype = parsed(key, node, parse_dtype);
      } else if (key.str() == "mask") {
        row.mask = parsed(key, node, Expr::parse);
      } else {
        row.numbers.push_back({number_key(key), range(key, node)});
      }
    }
  }

  void read_use(Row& row, const toml::table& use) const {
    for (const auto& [key, node] : use) {
      FieldValue value;
      if (const auto flag = node.value_exact<bool>()) {
        value = *flag;
      } else if (const auto number = node.value_exact<std::int64_t>()) {
        value = *number;
      } else if (const auto name = node.value_exact<std::string>()) {
        value = *name;
      } else {
        fail(node.source(), std::string(key.str()) + " is not a number, a name, true or false");
      }
      const auto complaint = set_field(row.schedule, key.str(), value);
      if (complaint) fail(key.source(), *complaint);
    }
  }

  const NumberKey* number_key(const toml::key& key) const {
    std::vector<std::string_view> known = {"op", "dtype", "out_dtype", "mask"};
    for (const NumberKey& number : number_keys) {
      if (number.name == key.str()) return &number;
      known.push_back(number.name);
    }
    fail_unknown(key, "condition", known);
  }

  Range range(const toml::key& key, const toml::node& node) const {
    const auto number = node.value_exact<std::int64_t>();
    if (number && *number >= 0) return {*number, *number};
    const auto written = node.value_exact<std::string_view>();
    if (const auto range =
            written ? parse_range({written->data(), written->size()}) : std::nullopt) {
      return *range;
    }
    fail(node.source(),
         std::string(key.str()) +
             " is not a number or a range such as \"64..128\", \"2048..\", \"..512\"");
  }

  std::string_view text(const toml::key& key, const toml::node& node) const {
    if (const auto text = node.value_exact<std::string_view>()) return *text;
    fail(node.source(), std::string(key.str()) + " is not a string");
  }

  const toml::table& inner_table(const toml::key& key, const toml::node& node) const {
    if (const toml::table* table = node.as_table()) return *table;
    fail(node.source(), std::string(key.str()) + " is not a table { ... }");
  }

  [[noreturn]] void fail_unknown(const toml::key& key, std::string_view what,
                                 std::span<const std::string_view> known) const {
    fail(key.source(), llvm::formatv("unknown {0} \"{1}\", {2}", what, key.str(),
                                     did_you_mean(key.str(), known)));
  }

  /// The string at `node` as `parse` reads it; a complaint gets the place.
  template <class Value>
  Value parsed(const toml::key& key, const toml::node& node,
               Value (*parse)(std::string_view)) const {
    const std::string_view written = text(key, node);
    try {
      return parse(written);
    } catch (const Error& error) {
      fail(node.source(), error.what());
    }
  }

  std::string_view origin_;
};

}  // namespace

struct ScheduleTable::Rows {
  std::vector<Row> list;
};

ScheduleTable::ScheduleTable() : rows_(std::make_unique<Rows>()) {}
ScheduleTable::ScheduleTable(const ScheduleTable& other)
    : rows_(std::make_unique<Rows>(*other.rows_)) {}
ScheduleTable::ScheduleTable(ScheduleTable&&) noexcept = default;
ScheduleTable& ScheduleTable::operator=(ScheduleTable other) {
  rows_.swap(other.rows_);
  return *this;
}
ScheduleTable::~ScheduleTable() = default;

ScheduleTable ScheduleTable::parse(std::string_view text, std::string_view origin) {
  const Reader reader(origin);
  try {
    ScheduleTable table;
    table.rows_->list = reader.read(toml::parse(text));
    return table;
  } catch (const toml::parse_error& error) {
    reader.fail(error.source(), std::string(error.description()));
  }
}

ScheduleTable ScheduleTable::load(const std::filesystem::path& path) {
  const auto file = llvm::MemoryBuffer::getFile(path.native());
  if (!file) {
    throw Error(ErrorCode::invalid_config,
                path.native() + " cannot be read: " + file.getError().message());
  }
  const llvm::StringRef text = (*file)->getBuffer();
  return parse({text.data(), text.size()}, path.native());
}

const ScheduleTable& ScheduleTable::shipped() {
  static const ScheduleTable table = [] {
    ScheduleTable rows;
    for (const EmbeddedFile& file : embedded_configs()) {
      rows.append(parse(file.text, "configs/" + std::string(file.name)));
    }
    return rows;
  }();
  return table;
}

void ScheduleTable::append(const ScheduleTable& other) {
  const std::vector<Row> added = other.rows_->list;  // a copy: `other` may be this table
  rows_->list.insert(rows_->list.end(), added.begin(), added.end());
}

std::optional<ScheduleTable::Match> ScheduleTable::find(Operation operation, const Problem& problem,
                                                        const Shape& shape,
                                                        const Target& target) const {
  for (const Row& row : rows_->list) {
    if (row.fits(operation, problem, shape, target)) return Match{row.schedule, row.origin};
  }
  return std::nullopt;
}

std::size_t ScheduleTable::size() const { return rows_->list.size(); }

}  // namespace streamattn

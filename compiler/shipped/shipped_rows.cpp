// The table that is shipped, of compiled-in rows.
#include <map>
#include <utility>

#include "compiler/families/family.h"
#include "compiler/knobs.h"
#include "compiler/shipped/compiled_rows.h"

namespace streamattn {
namespace {

/// Makes rows of constants. Few expressions stand in many rows: each is parsed once.
class RowMaker {
 public:
  ScheduleRow row(const CompiledRow& compiled) {
    ScheduleRow row;
    row.target = compiled.target;
    row.device = compiled.device;
    row.operation = compiled.operation;
    for (const auto& [key, wanted] : compiled.conditions)
      row.conditions.push_back({key, std::visit([&](auto value) { return held(value); }, wanted)});
    row.schedule = KnobAccess::make(*find_family(compiled.family).knobs,
                                    {compiled.knobs.begin(), compiled.knobs.end()});
    row.origin = compiled.origin;
    row.is_shipped = true;
    return row;
  }

 private:
  using Wanted = decltype(RowCondition::wanted);

  template <class Value>
  Wanted held(Value value) {
    return value;
  }
  Wanted held(ExprText written) {
    const auto [parsed, is_new] = parsed_.try_emplace({written.text, written.role});
    if (is_new) parsed->second = Expr::parse(written.text, written.role);
    return parsed->second;
  }

  std::map<std::pair<std::string_view, ExprRole>, Expr> parsed_;
};

}  // namespace

std::vector<std::shared_ptr<const ScheduleRow>> shipped_rows(
    std::span<const CompiledRow> compiled) {
  RowMaker maker;
  std::vector<std::shared_ptr<const ScheduleRow>> rows;
  for (const CompiledRow& row : compiled)
    rows.push_back(std::make_shared<const ScheduleRow>(maker.row(row)));
  return rows;
}

const ScheduleTable& ScheduleTable::shipped() {
  static const ScheduleTable table = [] {
    ScheduleTable rows;
    rows.rows_->list = shipped_rows(compiled_rows());
    return rows;
  }();
  return table;
}

}  // namespace streamattn

// Schedule rows from files, in order.
#include "streamattn/schedule_table.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "compiler/schedule_rows.h"
#include "compiler/toml.h"
#include "streamattn/error.h"
#include "support/files.h"

namespace streamattn {

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
  ScheduleTable table;
  for (ScheduleRow& row : read_schedule_rows(text, origin))
    table.rows_->list.push_back(std::make_shared<const ScheduleRow>(std::move(row)));
  return table;
}

ScheduleTable ScheduleTable::load(const std::filesystem::path& path) {
  const FileContent file = read_regular_file(path, most_toml_bytes);
  if (file.status != FileContent::Status::ok) {
    const bool refused = file.status == FileContent::Status::refused;
    throw Error(ErrorCode::invalid_config,
                path.native() + (refused ? " " : " cannot be read: ") + file.problem);
  }
  return parse(file.bytes, path.native());
}

void ScheduleTable::append(const ScheduleTable& other) {
  const auto added = other.rows_->list;  // a copy: `other` may be this table
  rows_->list.insert(rows_->list.end(), added.begin(), added.end());
}

std::optional<ScheduleTable::Match> ScheduleTable::find(Operation operation, const Problem& problem,
                                                        const Shape& shape, const Target& target,
                                                        std::string_view device) const {
  for (const auto& row : rows_->list) {
    const bool is_foreign = !device.empty() && !row->device.empty() && row->device != device;
    if (!is_foreign && row->fits(operation, problem, shape, target))
      return Match{row->schedule, row->origin, row->device, row->record};
  }
  return std::nullopt;
}

std::vector<Schedule> ScheduleTable::nearest(Operation operation, const Problem& problem,
                                             const Shape& shape, const Target& target,
                                             std::size_t most) const {
  std::vector<std::pair<double, const ScheduleRow*>> order;
  for (const auto& row : rows_->list)
    if (const auto distance = row->distance(operation, problem, shape, target))
      order.emplace_back(*distance, row.get());
  const auto distance_of = [](const auto& entry) { return entry.first; };
  std::ranges::stable_sort(order, {}, distance_of);  // equally near ones in the order of the table
  std::vector<Schedule> schedules;
  for (const auto& [distance, row] : order)
    if (schedules.size() < most && std::ranges::find(schedules, row->schedule) == schedules.end())
      schedules.push_back(row->schedule);
  return schedules;
}

std::size_t ScheduleTable::size() const { return rows_->list.size(); }

}  // namespace streamattn

// Sets of rows.
#include "compiler/operations/forward/row_set.h"

namespace streamattn {

void RowSet::insert(Rows rows) {
  auto* first = std::find_if(ranges_.begin(), ranges_.end(),
                             [&](const Rows& range) { return range.end >= rows.begin; });
  auto* last =
      std::find_if(first, ranges_.end(), [&](const Rows& range) { return range.begin > rows.end; });
  if (first == last) return ranges_.insert(first, rows), void();
  *first = {std::min(first->begin, rows.begin), std::max((last - 1)->end, rows.end)};
  ranges_.erase(first + 1, last);
}

void RowSet::add(const RowSet& other) {
  for (const Rows& range : other) add(range);
}

void RowSet::keep(const RowSet& other) {
  RowSet both;
  for (const Rows& a : *this)
    for (const Rows& b : other) both.add(overlap(a, b));
  *this = std::move(both);
}

RowSet RowSet::without(const RowSet& other) const {
  RowSet rest;
  for (const Rows& range : *this) {
    std::int64_t from = range.begin;
    for (const Rows& hole : other) {
      if (is_empty(overlap(hole, range))) continue;
      rest.add({from, hole.begin});
      from = hole.end;
    }
    rest.add({from, range.end});
  }
  return rest;
}

bool RowSet::contains(Rows rows) const {
  return is_empty(rows) || std::any_of(begin(), end(), [&](const Rows& range) {
           return range.begin <= rows.begin && rows.end <= range.end;
         });
}

std::int64_t RowSet::count() const {
  std::int64_t rows = 0;
  for (const Rows& range : *this) rows += range.end - range.begin;
  return rows;
}

Rows RowSet::hull_in(Rows rows) const {
  Rows hull = {rows.end, rows.begin};
  for (const Rows& range : *this) {
    const Rows part = overlap(range, rows);
    if (!is_empty(part)) hull = {std::min(hull.begin, part.begin), part.end};
  }
  return hull;
}

Rows RowSet::longest_in(Rows rows) const {
  Rows longest = {rows.begin, rows.begin};
  for (const Rows& range : *this) {
    const Rows part = overlap(range, rows);
    if (part.end - part.begin > longest.end - longest.begin) longest = part;
  }
  return longest;
}

}  // namespace streamattn

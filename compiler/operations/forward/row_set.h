// Sets of rows, as few ranges.
#pragma once

#include <llvm/ADT/SmallVector.h>

#include <algorithm>
#include <cstdint>

#include "streamattn/tensor.h"

namespace streamattn {

/// Rows that both have: none where the end is not behind the begin.
inline Rows overlap(Rows a, Rows b) { return {std::max(a.begin, b.begin), std::min(a.end, b.end)}; }
inline bool is_empty(Rows rows) { return rows.begin >= rows.end; }

/// Rows in ascending ranges that neither overlap nor touch, none of them empty.
class RowSet {
 public:
  RowSet() = default;
  explicit RowSet(Rows rows) { add(rows); }

  void add(Rows rows) {
    if (is_empty(rows)) return;
    if (ranges_.empty() || rows.begin > ranges_.back().end) return ranges_.push_back(rows);
    insert(rows);
  }
  void add(const RowSet& other);

  /// Takes out what `other` does not have.
  void keep(const RowSet& other);

  /// What `other` does not have.
  RowSet without(const RowSet& other) const;

  bool contains(Rows rows) const;
  std::int64_t count() const;

  /// The smallest range around what is in `rows`; may be empty.
  Rows hull_in(Rows rows) const;

  /// The longest range in `rows`; may be empty.
  Rows longest_in(Rows rows) const;

  bool empty() const { return ranges_.empty(); }
  auto begin() const { return ranges_.begin(); }
  auto end() const { return ranges_.end(); }

 private:
  void insert(Rows rows);

  llvm::SmallVector<Rows, 4> ranges_;
};

}  // namespace streamattn

// Writes ProblemTiles.
#include "compiler/expr/tile_policy.h"

#include <llvm/Support/FormatVariadic.h>

#include <algorithm>

#include "compiler/expr/bounds.h"
#include "compiler/expr/build.h"
#include "compiler/expr/cuda_text.h"

namespace streamattn {
namespace {

bool depends_on(const Expr& expr, Variable variable) { return expr.node().uses_variable(variable); }

class Writer {
 public:
  explicit Writer(const Problem& problem)
      : names_(problem),
        cuda_(names_, problem.group_size),
        mask_(problem.mask),
        values_(problem.mask) {}

  std::string write() {
    const Certainty seen =
        certainty(mask_, [this](const Expr& element) { return bounds_of(element); });
    const std::string functions = values("row_value(int i, int q)", values_.of_rows, "q") +
                                  values("key_value(int i, int k)", values_.of_keys, "k") +
                                  test("can_see", seen.can_hold) + test("sees_all", seen.must_hold);
    std::string text = "struct ProblemTiles {\n";
    text += llvm::formatv(
        "  static constexpr int row_values = {0}, key_values = {1};\n"
        "  static constexpr bool exact = {2};\n",
        values_.of_rows.size(), values_.of_keys.size(), needs_elements() ? "true" : "false");
    return text + cuda_.declarations() + constructor() + functions + "};\n";
  }

 private:
  // Of an element that depends on a query or on a key alone, the bounds over a tile are looked up.
  // One that depends on both is known where its indices are the same for the whole tile.
  Bounds bounds_of(const Expr& element) {
    if (!depends_on(element, Variable::q)) return looked_up(element, values_.of_keys, true);
    if (!depends_on(element, Variable::k)) return looked_up(element, values_.of_rows, false);
    std::vector<Expr> places;
    Expr is_same = true;
    for (const Expr& index : element.node().operands) {
      const Bounds ends = bounds(index);
      if (!ends.low || !ends.high) return {};
      places.push_back(*ends.low);
      is_same = is_same && *ends.low == *ends.high;
    }
    const ExprNode& node = element.node();
    const Expr value = streamattn::element(node.name, node.dtype, places);
    return {value, value, is_same};
  }

  static Bounds looked_up(const Expr& element, const std::vector<Expr>& values, bool is_of_keys) {
    const auto known =
        std::ranges::find_if(values, [&](const Expr& value) { return value.same_as(element); });
    const int index = static_cast<int>(known - values.begin());
    return {tile_bound(is_of_keys, false, index), tile_bound(is_of_keys, true, index)};
  }

  // Where bits, reals, remainders or elements of query and key together are tested, the values of a
  // tile leave most tiles open.
  bool needs_elements() const {
    bool found = false;
    for_each_node(mask_, [&](const Expr& part) {
      if (is_uniform(part)) return;
      const ExprNode& node = part.node();
      const bool is_open = node.op == ExprOp::bit || node.op == ExprOp::less ||
                           node.op == ExprOp::less_equal || node.op == ExprOp::equal ||
                           node.op == ExprOp::modulo ||
                           (node.op == ExprOp::element && depends_on(part, Variable::q) &&
                            depends_on(part, Variable::k));
      found = found || is_open;
    });
    return found;
  }

  // At `position` itself: there is no column.
  std::string values(const char* head, const std::vector<Expr>& list, const char* position) {
    std::string text = llvm::formatv("  SA_DEVICE int {0} const {{\n", head);
    if (std::string_view(position) == "k") text += "    constexpr int column = 0;\n";
    for (std::size_t i = 0; i < list.size(); i++)
      text += llvm::formatv("    if (i == {0}) return {1};\n", i, cuda_.integer(list[i]));
    return text + "    return 0;\n  }\n";
  }

  std::string test(const char* name, const Expr& condition) {
    return llvm::formatv(
        "  SA_DEVICE bool {0}(Span q, Span k, const Interval* rows, const Interval* keys) const {{ "
        "return {1}; }\n",
        name, cuda_.condition(condition));
  }

  std::string constructor() const {
    return "  SA_DEVICE ProblemTiles(const ScoreParams& params, WorkItem item, const Sequence&)" +
           cuda_.initialisers("\n      : ") + " {}\n";
  }

  ExprNames names_;
  CudaText cuda_;
  const Expr& mask_;
  TileValues values_;
};

}  // namespace

bool is_data_dependent(const Expr& mask) {
  bool found = false;
  for_each_node(mask, [&](const Expr& part) {
    found = found || (part.node().op == ExprOp::element && depends_on(part, Variable::k));
  });
  return found;
}

TileOwners tile_owners(const Expr& mask) {
  return {depends_on(mask, Variable::batch),
          depends_on(mask, Variable::head) || depends_on(mask, Variable::kv_head)};
}

TileValues::TileValues(const Expr& mask) {
  for_each_node(mask, [&](const Expr& part) {
    if (part.node().op != ExprOp::element || part.type() != ExprType::integer) return;
    const bool has_q = depends_on(part, Variable::q), has_k = depends_on(part, Variable::k);
    if (has_q && !has_k) of_rows.push_back(part);
    if (has_k && !has_q) of_keys.push_back(part);
  });
}

std::string tile_policy(const Problem& problem) { return Writer(problem).write(); }

}  // namespace streamattn

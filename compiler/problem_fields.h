// The fields of a problem by name: the single place where they are listed.
#pragma once

#include <cstddef>
#include <string_view>
#include <tuple>

#include "streamattn/problem.h"

namespace streamattn {

/// One field. Where it may be left out, `value` gives what it then stands for.
template <class Member, class Value>
struct ProblemField {
  std::string_view name, help;
  Member Problem::* member;
  Value (*value)(const Problem&);
};

/// Every field, in the order of the struct. Text, TOML, flags, JSON, hashing and comparing all go
/// through this list; a new field is a new line.
inline constexpr std::tuple problem_fields = {
    ProblemField{"dtype", "of Q, K and V: f16, bf16 or f32", &Problem::dtype,
                 +[](const Problem& p) { return p.dtype; }},
    ProblemField{"out_dtype", "of O (that of Q, K and V)", &Problem::out_dtype,
                 +[](const Problem& p) { return p.output_dtype(); }},
    ProblemField{"head_dim", "of Q and K", &Problem::head_dim,
                 +[](const Problem& p) { return p.head_dim; }},
    ProblemField{"value_head_dim", "of V and O (head_dim)", &Problem::value_head_dim,
                 +[](const Problem& p) { return p.v_head_dim(); }},
    ProblemField{"group_size", "query heads per key-value head", &Problem::group_size,
                 +[](const Problem& p) { return p.group_size; }},
    ProblemField{"mask", "which keys a query sees, such as \"k <= q\"", &Problem::mask,
                 +[](const Problem& p) -> const Expr& { return p.mask; }},
    ProblemField{"score", "what becomes of a scaled product, such as \"score - slope[head] * q\"",
                 &Problem::score, +[](const Problem& p) -> const Expr& { return p.score; }},
    ProblemField{"sink", "a logit that joins the denominator, such as \"sink[head]\"",
                 &Problem::sink,
                 +[](const Problem& p) -> const std::optional<Expr>& { return p.sink; }},
    ProblemField{"q_layout", "of Q, O and LSE: dense or packed", &Problem::q_layout,
                 +[](const Problem& p) { return p.q_layout; }},
    ProblemField{"kv_layout", "of K and V: dense, packed or paged", &Problem::kv_layout,
                 +[](const Problem& p) { return p.kv_layout; }},
    ProblemField{"q_lens", "whether sequences have a number of queries each", &Problem::q_lens,
                 +[](const Problem& p) { return p.q_lens; }},
    ProblemField{"kv_lens", "whether sequences have a number of keys each", &Problem::kv_lens,
                 +[](const Problem& p) { return p.has_kv_lens(); }},
    ProblemField{"dropout", "whether launches leave weights out", &Problem::dropout,
                 +[](const Problem& p) { return p.dropout; }},
};

/// Calls visit(field) for every field.
template <class Visitor>
constexpr void for_each_problem_field(Visitor&& visit) {
  std::apply([&](const auto&... field) { (visit(field), ...); }, problem_fields);
}

/// Whether two values of a field are the same.
template <class Value>
bool same(const Value& a, const Value& b) {
  return a == b;
}
inline bool same(const Expr& a, const Expr& b) { return a.same_as(b); }
inline bool same(const std::optional<Expr>& a, const std::optional<Expr>& b) {
  return a && b ? same(*a, *b) : a.has_value() == b.has_value();
}

/// Equal for equal problems.
std::size_t hash(const Problem& problem);

}  // namespace streamattn

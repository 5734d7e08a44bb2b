// Gathers what is known of a problem.
#include "tools/explanation.h"

#include <llvm/ADT/STLExtras.h>

#include <algorithm>

#include "compiler/expr/build.h"
#include "compiler/expr/names.h"
#include "compiler/expr/tile_policy.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

constexpr double most_elements = 0x1p27;  // a second or two

/// Conditions that a mask is joined of.
void for_each_part(const Expr& mask, const std::function<void(const Expr&)>& visit) {
  const ExprNode& node = mask.node();
  if (node.op != ExprOp::logical_and && node.op != ExprOp::logical_or) return visit(mask);
  for (const Expr& part : node.operands) for_each_part(part, visit);
}

std::string reason(const Expr& condition) {
  std::string tensor;
  bool has_remainder = false, has_bit = false, has_reals = false, is_unequal = false;
  for_each_node(condition, [&](const Expr& part) {
    const ExprNode& node = part.node();
    is_unequal = is_unequal || node.op == ExprOp::is_not_zero;
    if (!node.uses_variable(Variable::k)) return;
    if (node.op == ExprOp::element) tensor = node.name;
    has_remainder = has_remainder || node.op == ExprOp::modulo;
    has_bit = has_bit || node.op == ExprOp::bit;
    has_reals = has_reals || node.op == ExprOp::less || node.op == ExprOp::less_equal ||
                node.op == ExprOp::equal;
  });
  if (!tensor.empty()) return "an element of " + tensor + " that depends on the key decides";
  if (has_bit) return "a bit that depends on the key decides";
  if (has_remainder) return "a remainder of the key decides";
  if (has_reals) return "reals are compared";
  if (is_unequal) return "it leaves out keys in the middle";
  return "it is not linear in the key";
}

std::vector<NameFact> names_of(const ForwardCase& call) {
  const ExprNames names(call.problem);
  std::vector<NameFact> facts;
  const auto value = [](const auto& list, const std::string& name) -> std::string {
    for (const auto& given : list)
      if (given.name == name) return llvm::StringRef(describe(given)).split(" = ").second.str();
    return {};
  };
  for (const ExprName& scalar : names.scalars)
    facts.push_back(
        {scalar.name, std::string(name(scalar.dtype)), value(call.scalars, scalar.name)});
  for (const ExprName& tensor : names.tensors)
    facts.push_back({tensor.name,
                     std::string(name(tensor.dtype)) + ", " + std::to_string(tensor.rank) +
                         (tensor.rank == 1 ? " index" : " indices"),
                     value(call.tensors, tensor.name)});
  return facts;
}

std::optional<Choice> choice_of(const ForwardCase& call, const Target& target,
                                const ScheduleFlags& flags) {
  ScheduleTable rows = flags.pin_rows();
  rows.append(ScheduleTable::shipped());
  const std::string fields = flags.only_override();
  try {
    Choice choice = choose(call.operation, call.problem, call.shape, target, rows);
    if (!fields.empty()) {
      choice = {parse_schedule(fields, choice.schedule), choice.reason + ", changed by --schedule"};
      check(call.operation, call.problem, choice.schedule, target);
    }
    return choice;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unsupported_problem) throw;
    return std::nullopt;
  }
}

std::vector<TargetAnswers> answers_for(const ForwardCase& call) {
  std::vector<TargetAnswers> answers;
  for (const Target& target : targets())
    answers.push_back({&target, family_answers(call.operation, call.problem, target)});
  return answers;
}

double pairs_of(const ForwardCall& call) {
  return static_cast<double>(call.batch() * call.heads()) * static_cast<double>(call.q_len()) *
         static_cast<double>(call.kv_len());
}

}  // namespace

std::vector<OpenPart> open_parts(const Expr& mask) {
  std::vector<OpenPart> parts;
  for_each_part(mask, [&](const Expr& part) {
    if (is_exact(key_ranges_of_query(part))) return;
    OpenPart open{part.text(), reason(part)};
    const auto is_same = [&](const OpenPart& other) { return other.text == open.text; };
    if (!llvm::any_of(parts, is_same)) parts.push_back(std::move(open));
  });
  return parts;
}

std::string range_text(const KeyRange& range) {
  const auto end = [](const Expr& key) -> std::string {
    const auto constant = constant_of(key);
    if (constant == -key_limit) return "-inf";
    return constant == key_limit ? "inf" : key.text();
  };
  return "[" + end(range.begin) + ", " + end(range.end) + ")";
}

Explanation::Explanation(const ForwardCase& given, const ScheduleFlags& flags, HeadIndex drawn)
    : call(given),
      target(&find_target(*flags.target)),
      names(names_of(call)),
      ranges(call.problem.mask),
      data_decide(is_data_dependent(call.problem.mask)),
      open(open_parts(call.problem.mask)),
      choice(choice_of(call, *target, flags)),
      answers(answers_for(call)) {
  const MaskedCall masked(call);
  all_pairs = pairs_of(masked.call());
  pairs = visible_pairs(call, most_elements);
  flops = forward_flops(call, most_elements);
  if (!choice) return;
  if (const auto walk = tile_walk(call.problem, choice->schedule)) {
    tiles_by_data = data_decide && walk->by_data;
    map.emplace(masked, *walk, tiles_by_data, drawn, most_elements);
  }
  if (!target->is_cpu()) program = emit(call.operation, call.problem, choice->schedule, *target);
}

}  // namespace streamattn

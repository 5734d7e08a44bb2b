// Writes and reads calls.
#include "autotune/case_json.h"

#include <optional>
#include <string>

#include "compiler/field_values.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

[[noreturn]] void refuse(llvm::StringRef what) {
  throw Error(ErrorCode::invalid_argument, "a call in JSON has no usable \"" + what.str() + "\"");
}

/// What `json` holds; nothing where that is nothing that a field can hold.
std::optional<FieldValue> value_of(const llvm::json::Value& json) {
  if (const auto flag = json.getAsBoolean()) return *flag;
  if (const auto number = json.getAsInteger()) return *number;
  if (const auto text = json.getAsString()) return text->str();
  return std::nullopt;
}

void decode_fields(const llvm::json::Object& json, Problem& problem) {
  for_each_field_value(Problem(), [&](std::string_view name, const auto&) {
    const llvm::json::Value* given = json.get(llvm::StringRef(name));
    if (!given) refuse(llvm::StringRef(name));
    if (given->kind() == llvm::json::Value::Null) return;
    const auto value = value_of(*given);
    if (!value || !set_field_value(problem, name, *value)) refuse(llvm::StringRef(name));
  });
  problem.validate();
}

std::int64_t integer(const llvm::json::Object& json, llvm::StringRef key) {
  const auto number = json.getInteger(key);
  if (!number) refuse(key);
  return *number;
}

void decode_names(const llvm::json::Object& json, ForwardCase& call) {
  const llvm::json::Array* scalars = json.getArray("scalars");
  const llvm::json::Array* tensors = json.getArray("tensors");
  if (!scalars || !tensors) refuse("scalars");
  for (const llvm::json::Value& value : *scalars) {
    const llvm::json::Object* scalar = value.getAsObject();
    if (!scalar) refuse("scalars");
    call.scalars.push_back(
        {scalar->getString("name").value_or("").str(), scalar->getNumber("value").value_or(0)});
  }
  for (const llvm::json::Value& value : *tensors) {
    const llvm::json::Object* tensor = value.getAsObject();
    if (!tensor) refuse("tensors");
    const llvm::StringRef kind = tensor->getString("kind").value_or("");
    NamedInput input{.name = tensor->getString("name").value_or("").str(),
                     .kind = parse_input_kind({kind.data(), kind.size()})};
    input.number = tensor->getNumber("number");
    call.tensors.push_back(std::move(input));
  }
}

}  // namespace

llvm::json::Object to_json(const Problem& problem) {
  llvm::json::Object json;
  for_each_field_value(problem, [&](std::string_view name, const auto& value) {
    llvm::json::Value& place = json[llvm::StringRef(name)];
    place = nullptr;
    if (value) std::visit([&](const auto& held) { place = held; }, *value);
  });
  return json;
}

llvm::json::Object encode_case(const ForwardCase& call) {
  llvm::json::Object json = to_json(call.problem);
  json["batch"] = call.shape.batch, json["kv_heads"] = call.shape.kv_heads;
  json["q_len"] = call.shape.q_len, json["kv_len"] = call.shape.kv_len;
  json["layout"] = name(call.layout);
  json["outliers"] = call.distribution == Distribution::outliers;
  json["seed"] = static_cast<std::int64_t>(call.seed);
  llvm::json::Array scalars, tensors;
  for (const NamedNumber& scalar : call.scalars)
    scalars.push_back(llvm::json::Object{{"name", scalar.name}, {"value", scalar.value}});
  for (const NamedInput& tensor : call.tensors) {
    llvm::json::Object object{{"name", tensor.name}, {"kind", llvm::StringRef(name(tensor.kind))}};
    if (tensor.number) object["number"] = *tensor.number;
    tensors.push_back(std::move(object));
  }
  json["scalars"] = std::move(scalars), json["tensors"] = std::move(tensors);
  return json;
}

ForwardCase decode_case(const llvm::json::Object& json) {
  ForwardCase call;
  decode_fields(json, call.problem);
  call.shape = {integer(json, "batch"), integer(json, "kv_heads"), integer(json, "q_len"),
                integer(json, "kv_len")};
  call.shape.validate();
  call.layout = json.getString("layout") == llvm::StringRef("bhsd") ? Layout::bhsd : Layout::bshd;
  call.distribution =
      json.getBoolean("outliers").value_or(false) ? Distribution::outliers : Distribution::normal;
  call.seed = static_cast<std::uint64_t>(integer(json, "seed"));
  decode_names(json, call);
  return call;
}

}  // namespace streamattn

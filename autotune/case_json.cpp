// Writes and reads calls.
#include "autotune/case_json.h"

#include <optional>
#include <string>

#include "compiler/problem_fields.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

llvm::json::Value encode(DType value) { return llvm::StringRef(name(value)); }
llvm::json::Value encode(SequenceLayout value) { return llvm::StringRef(name(value)); }
llvm::json::Value encode(bool value) { return value; }
llvm::json::Value encode(int value) { return value; }
llvm::json::Value encode(const Expr& value) { return value.text(); }
template <class Value>
llvm::json::Value encode(const std::optional<Value>& value) {
  return value ? encode(*value) : llvm::json::Value(nullptr);
}

[[noreturn]] void refuse(llvm::StringRef what) {
  throw Error(ErrorCode::invalid_argument, "a call in JSON has no usable \"" + what.str() + "\"");
}

std::string text(llvm::StringRef key, const llvm::json::Value& json) {
  if (const auto value = json.getAsString()) return value->str();
  refuse(key);
}

void decode(llvm::StringRef key, const llvm::json::Value& json, DType& value) {
  value = parse_dtype(text(key, json));
}
void decode(llvm::StringRef key, const llvm::json::Value& json, SequenceLayout& value) {
  value = parse_sequence_layout(text(key, json));
}
void decode(llvm::StringRef key, const llvm::json::Value& json, bool& value) {
  const auto flag = json.getAsBoolean();
  if (!flag) refuse(key);
  value = *flag;
}
void decode(llvm::StringRef key, const llvm::json::Value& json, int& value) {
  const auto number = json.getAsInteger();
  if (!number) refuse(key);
  value = static_cast<int>(*number);
}
void decode(llvm::StringRef key, const llvm::json::Value& json, Expr& value) {
  value = Expr::parse(text(key, json), key == "mask" ? ExprRole::mask : ExprRole::score);
}
template <class Value>
void decode(llvm::StringRef key, const llvm::json::Value& json, std::optional<Value>& value) {
  value.reset();
  if (json.kind() != llvm::json::Value::Null) decode(key, json, value.emplace());
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

llvm::json::Object encode_case(const ForwardCase& call) {
  llvm::json::Object json;
  for_each_problem_field([&](const auto& field) {
    json[llvm::StringRef(field.name)] = encode(call.problem.*field.member);
  });
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
  for_each_problem_field([&](const auto& field) {
    const llvm::json::Value* value = json.get(llvm::StringRef(field.name));
    if (!value) refuse(llvm::StringRef(field.name));
    decode(llvm::StringRef(field.name), *value, call.problem.*field.member);
  });
  call.problem.validate();
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

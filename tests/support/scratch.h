// Places and surroundings that a test may change: a folder and environment variables of its own.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "streamattn/error.h"

namespace streamattn {

/// A new empty folder below the system's temporary one, removed with everything in it.
class ScratchFolder {
 public:
  ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder();

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Sets (or with nothing, unsets) an environment variable and puts the old value back.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const std::optional<std::string>& value);
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;
  ~ScopedVariable();

 private:
  const char* name_;
  std::optional<std::string> old_;
};

/// Collects log lines instead of printing them.
class LogRecorder {
 public:
  LogRecorder();
  LogRecorder(const LogRecorder&) = delete;
  LogRecorder& operator=(const LogRecorder&) = delete;
  ~LogRecorder();

  bool has(const std::string& part) const;

  std::vector<std::string> lines;
};

/// What `call` throws: "code: message", or "nothing" if it throws no Error.
template <class Call>
std::string error_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return std::string(name(error.code())) + ": " + error.what();
  }
  return "nothing";
}

/// The message of the Error (invalid_argument) that `call` throws, empty if it throws none; as
/// error_of() where it has another code.
template <class Call>
std::string refusal_of(const Call& call) {
  const std::string error = error_of(call), code = "invalid_argument: ";
  if (error == "nothing") return "";
  return error.starts_with(code) ? error.substr(code.size()) : error;
}

std::string read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, const std::string& bytes);

}  // namespace streamattn

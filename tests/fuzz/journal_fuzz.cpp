// Reads texts as journals and finals of a tuning. Sums are made right, so that what stands behind
// them is reached.
#include <llvm/Support/JSON.h>

#include "autotune/finals_file.h"
#include "autotune/replay.h"
#include "tests/autotune/tuner_run.h"
#include "tests/fuzz/fuzz_loop.h"
#include "tests/fuzz/text_mutator.h"

namespace streamattn {
namespace {

const TuneJob& job() {
  static const TuneJob small = small_job({2048, 4096});
  return small;
}

std::filesystem::path file() {
  static const ScratchFolder folder;
  return folder.path() / "journal";
}

/// Writes the lines of `text` that are JSON as a journal.
void write_with_sums(const std::string& text) {
  std::optional<Journal> journal;
  std::filesystem::remove(file());
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    auto line = llvm::json::parse(llvm::StringRef(text).slice(begin, end));
    begin = end + 1;
    if (!line || line->kind() != llvm::json::Value::Object) {
      llvm::consumeError(line.takeError());
      continue;
    }
    llvm::json::Object fields;  // LLVM cannot copy an object that something was erased from
    for (const auto& [key, value] : *line->getAsObject())
      if (key.str() != "sum") fields[key] = value;
    if (!journal)
      journal.emplace(file(), Journal::Open::new_file, fields);
    else
      journal->append(fields);
  }
}

void read_journal(const std::string& text) {
  const bool is_finals = text.find("\"step\"") == std::string::npos;
  if (is_finals)
    write_file(file(), text);
  else
    write_with_sums(text);
  try {
    replay_tune_job(file(), job());
  } catch (const Error& error) {
    check_message(error);
  }
}

TextSource journals(std::uint64_t seed) {
  SimulatedDevice device({.truth = arbitrary_time});
  const TunerRun one;
  const Tuned tuned = one.run(device, job(), one.settings());
  const std::vector<std::string> corpus = {read_file(one.settings().journal),
                                           finals_text(tuned.report)};
  const std::vector<std::string> words = {
      "{",          "}",        "[",         "]",
      ":",          ",",        "\"",        "null",
      "true",       "-1",       "0",         "1.5",
      "1e308",      "-1e-308",  "1e999",     "9223372036854775807",
      "\"us\"",     "\"step\"", "\"build\"", "\"check\"",
      "\"time\"",   "\"ok\"",   "\"id\"",    "\"name\"",
      "\"groups\"", "[]",       "{}",        "\"\""};
  return [mutator = TextMutator(seed, corpus, words)]() mutable { return mutator.next(); };
}

}  // namespace
}  // namespace streamattn

int main(int argc, char** argv) {
  return streamattn::fuzz_main(argc, argv, streamattn::read_journal, streamattn::journals);
}

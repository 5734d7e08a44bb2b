// The flags of `tune`.
#include "tools/tune_options.h"

namespace streamattn {

void read_value(llvm::StringRef flag, llvm::StringRef text, Duration& value) {
  double number = 0, unit = 1;
  llvm::StringRef digits = text;
  if (digits.consume_back("h")) {
    unit = 3600;
  } else if (digits.consume_back("m")) {
    unit = 60;
  } else {
    digits.consume_back("s");
  }
  if (digits.getAsDouble(number) || !(number > 0))
    reject_value(flag, text, "a time such as 90s, 10m or 1h");
  value.seconds = unit * number;
}

void TuneOptions::add_to(Flags& flags) {
  problem.add_to(flags);
  if (job_file) flags.refuse_added("the job says what to tune");
  flags.section("device");
  flags.add("target", "sm_90a|cpu", "where to run; cpu is the host (the device's)", target);
  flags.add("device", "N", "CUDA ordinal (0)", device);
  flags.add("gpus", "all|LIST",
            "race groups on several GPUs of one class side by side, such as 0,1", gpus);
  flags.exclude({"device", "gpus"});
  flags.add("jobs", "N", "processes that compile (cores - 1)", jobs);
  flags.section("method");
  flags.add("budget", "TIME", "stop after 90s, 10m, 1h; --resume goes on (none)", budget);
  flags.add("candidates", "N", "most that are built for a group, best by the model; 0: all (400)",
            method.candidates);
  flags.add("rounds", "N", "between those that come to the finals (9)", method.final_rounds);
  flags.add("round-ms", "X", "milliseconds of a schedule in a round of the finals (35)",
            method.final_milliseconds);
  add_timing_flags(flags, timing);
  flags.add("dry-run", "print what would be tried; needs no GPU with --target", dry_run);
  flags.add("seed", "N", "of the order of rounds (1)", method.seed);
  flags.add("start", "FILE", "rows in use before the shipped ones; may be repeated",
            [this](llvm::StringRef text) { pins.push_back(text.str()); });
  flags.add("block-list", "FILE", "schedules not to try; gets those that were wrong", block_list);
  flags.section("output");
  flags.add("out", "FILE", "write the rows", out);
  flags.add("journal", "FILE", "what was measured (OUT.journal.jsonl)", journal);
  flags.add("resume", "go on with the journal of a tuning that was stopped or killed", resume);
  flags.add("report", "FILE", "write an HTML page with maps of the times", report);
  flags.add("finals", "FILE", "write the rounds that decide, to be kept beside the rows", finals);
  flags.add("replay", "FILE", "decide by what a journal or --finals has, and measure nothing",
            replay);
  flags.add("explain", "print finalists, the reason for each winner, and refusals", explain);
  flags.section("measuring rows again");
  flags.add("check", "FILE", "measure the rows of a table for the job's calls; 1 if they drifted",
            check);
  flags.add("tolerance", "X", "percent between the recorded time and the one now (5)", tolerance);
  flags.exclude({"check", "out"});
  flags.exclude({"check", "finals"});
  flags.exclude({"check", "replay", "journal"});
  flags.exclude({"check", "resume"});
  for (const char* other : {"gpus", "report", "explain", "budget", "block-list", "start"})
    flags.exclude({"check", other});
  for (const char* other : {"resume", "budget", "gpus", "device"}) flags.exclude({"replay", other});
  flags.exclude({"dry-run", "check", "replay"});
}

std::string TuneOptions::journal_path() const {
  if (journal) return *journal;
  return out.value_or("streamattn-tune") + ".journal.jsonl";
}

std::vector<NamedFile> TuneOptions::files() const {
  std::vector<NamedFile> all;
  const auto add = [&](const char* name, const std::optional<std::string>& path, bool is_written) {
    if (path) all.push_back({name, *path, is_written});
  };
  add("the job", job_file, false);
  for (const std::string& file : pins) add("--start", file, false);
  add("--check", check, false);
  add("--replay", replay, false);
  add("--out", out, true);
  if (!check && !replay) add("--journal", journal_path(), true);
  add("--report", report, true);
  add("--finals", finals, true);
  add("--block-list", block_list, true);
  return all;
}

}  // namespace streamattn

"""What the comparison with peers found: rows, ratios, tables and files. Needs no GPU."""

import csv
import json
import math
from dataclasses import asdict, dataclass, field

HIDDEN, TOKENS = 2048, 16384


@dataclass(frozen=True)
class Row:
    """One forward call on square bf16 or f16 tensors in [batch, seq, heads, dim] order."""
    d: int
    causal: bool
    s: int
    b: int
    h: int

    @property
    def flops(self):
        return 4 * self.b * self.h * self.s * self.s * self.d // (2 if self.causal else 1)

    @property
    def group(self):
        return f"d{self.d} {'causal' if self.causal else 'full'}"


def forward_rows():
    """The 36 rows of the h200-forward suite."""
    return [Row(d, causal, s, TOKENS // s, HIDDEN // d)
            for d in (64, 128, 256) for causal in (False, True)
            for s in (512, 1024, 2048, 4096, 8192, 16384)]


def select(rows, filters):
    """The rows that fit one of `filters`, such as "d=128,causal=1"; all if there are none."""
    def fits(row, text):
        parts = (part.split("=") for part in text.split(","))
        return all(int(getattr(row, key)) == int(value) for key, value in parts)

    return [row for row in rows if not filters or any(fits(row, text) for text in filters)]


@dataclass
class Result:
    """One candidate on one row: a figure, or why there is none."""
    name: str
    ours: bool
    label: str = ""  # the backend that really ran, or the schedule
    tflops: float = 0
    milliseconds: float = 0
    spread: float = 0
    rounds: list = field(default_factory=list)
    error: float | None = None  # against float64
    failure: str = ""


@dataclass
class RowReport:
    """All candidates on one row. `best` and `cudnn_of_file` come from the baseline file."""
    row: Row
    results: list
    plain_error: float | None = None
    best: float | None = None
    cudnn_of_file: float | None = None

    def tflops(self, name):
        return next((r.tflops for r in self.results if r.name == name and not r.failure), None)

    def to_cudnn(self, name):
        """TFLOP/s over cuDNN's, measured in the same rounds."""
        ours, cudnn = self.tflops(name), self.tflops("cudnn")
        return ours / cudnn if ours and cudnn else None

    def to_best(self, name):
        """The ratio to cuDNN measured now times that of cuDNN to the best peer in the file: cards
        and days differ, ratios hardly do."""
        ratio = self.to_cudnn(name)
        return ratio * self.cudnn_of_file / self.best if ratio and self.best else None


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def load_baseline(path):
    """(cudnn, best) of every forward row in the file."""
    with open(path) as file:
        rows = json.load(file)["fwd"]
    return {Row(r["d"], r["causal"], r["s"], r["b"], r["h"]): (r["cudnn"], r["best"]) for r in rows}


def our_names(reports):
    return list(dict.fromkeys(r.name for report in reports for r in report.results if r.ours))


def _cell(value, digits):
    return "-" if value is None else f"{value:.{digits}f}"


def table(reports):
    """One line a row: TFLOP/s of every candidate, then our ratios."""
    names = list(dict.fromkeys(r.name for report in reports for r in report.results))
    ours = our_names(reports)
    header = ["d", "causal", "seq", "batch x heads", *names]
    for name in ours:
        header += [f"{name}/cudnn", f"{name}/best"]
    lines = [header]
    for report in reports:
        row = report.row
        line = [str(row.d), "yes" if row.causal else "no", str(row.s), f"{row.b} x {row.h}"]
        line += [_cell(report.tflops(name), 1) for name in names]
        for name in ours:
            line += [_cell(report.to_cudnn(name), 3), _cell(report.to_best(name), 3)]
        lines.append(line)
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join(cell.rjust(w) for cell, w in zip(line, widths)) for line in lines)


def summary(reports):
    """Geometric means by group and overall, the lowest row, and every failure."""
    lines = []
    for name in our_names(reports):
        for title, ratio in (("cudnn, measured now", RowReport.to_cudnn),
                             ("best of the baseline", RowReport.to_best)):
            rated = [(ratio(report, name), report.row) for report in reports]
            rated = [(value, row) for value, row in rated if value]
            if not rated:
                continue
            lines.append(f"{name} / {title}:")
            for group in dict.fromkeys(row.group for _, row in rated):
                values = [value for value, row in rated if row.group == group]
                lines.append(f"  {group:12} {geometric_mean(values):.3f}  ({len(values)} rows)")
            lowest, row = min(rated, key=lambda pair: pair[0])
            lines.append(f"  {'all':12} {geometric_mean([v for v, _ in rated]):.3f}  "
                         f"({len(rated)} rows), lowest {lowest:.3f} ({row.group}, seq {row.s})")
    for report in reports:
        for result in report.results:
            if result.failure:
                lines.append(f"{report.row.group}, seq {report.row.s}: {result.name}: "
                             f"{result.failure}")
    return "\n".join(lines)


def write_json(path, about, reports):
    rows = [{**asdict(report), "ratios": {name: {"cudnn": report.to_cudnn(name),
                                                 "best": report.to_best(name)}
                                          for name in our_names([report])}}
            for report in reports]
    with open(path, "w") as file:
        json.dump({**about, "rows": rows}, file, indent=1)


def write_csv(path, reports):
    """One line for every row and candidate."""
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["d", "causal", "seq", "batch", "heads", "candidate", "label", "ms",
                         "spread", "tflops", "to_cudnn", "to_best", "error", "failure"])
        for report in reports:
            row = report.row
            for r in report.results:
                writer.writerow([row.d, int(row.causal), row.s, row.b, row.h, r.name, r.label,
                                 r.milliseconds, r.spread, r.tflops, report.to_cudnn(r.name),
                                 report.to_best(r.name), r.error, r.failure])

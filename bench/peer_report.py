"""What the comparison with peers found: rows, ratios, tables and files. Needs no GPU."""

import csv
import json
import math
from dataclasses import asdict, dataclass, field

from peer_cases import case_of

HIDDEN, TOKENS = 2048, 16384
DECODE_QUERIES = 16  # at most, of a row whose figures are microseconds


@dataclass(frozen=True)
class Row:
    """One call on bf16 or f16 tensors in [batch, seq, heads, dim] order: `b` sequences of `s` queries
    in `h` heads; the forward pass, or the backward pass alone."""
    d: int
    causal: bool
    s: int
    b: int
    h: int
    case: str = ""  # of the suite of masks and scores; empty: a plain or a causal one
    kv_heads: int = 0  # 0: h
    kv_len: int = 0  # 0: s, a square
    value_d: int = 0  # 0: d
    backward: bool = False

    @property
    def group_size(self):
        return self.h // (self.kv_heads or self.h)

    @property
    def keys(self):
        return self.kv_len or self.s

    @property
    def value_dim(self):
        return self.value_d or self.d

    @property
    def is_square(self):
        return self.keys == self.s

    @property
    def is_decode(self):
        """Bound by memory and short: its figures are microseconds."""
        return self.s <= DECODE_QUERIES and not self.is_square

    @property
    def flops(self):
        pairs = self.b * self.h * case_of(self).pairs(self.s, self.keys)
        return (5 if self.backward else 2) * pairs * (self.d + self.value_dim)

    @property
    def dims(self):
        return f"{self.d}/{self.value_d}" if self.value_d else str(self.d)

    @property
    def group(self):
        return f"d{self.dims} {case_of(self).name}"

    @property
    def length(self):
        return str(self.s) if self.is_square else f"{self.s} x {self.keys}"

    @property
    def heads(self):
        return str(self.h) if self.group_size == 1 else f"{self.h}/{self.kv_heads}"


def forward_rows():
    """The 36 rows of the h200-forward suite."""
    return [Row(d, causal, s, TOKENS // s, HIDDEN // d)
            for d in (64, 128, 256) for causal in (False, True)
            for s in (512, 1024, 2048, 4096, 8192, 16384)]


def mask_rows():
    """The rows of the suite of masks and scores: a dense mask for comparison, what FlashAttention-3
    has an argument for, and what only expressions say. A bias is as large as the scores, so it has
    but one length."""
    windows = ["window64", "sinks16+window64", "window1024", "sinks4+window1024", "window4096",
               "sinks4+window4096"]
    lengths = {"bias": (4096,), "causal": (4096, 16384), "softcap": (4096, 16384),
               "alibi": (4096, 16384), **{case: (4096, 16384, 65536) for case in windows}}
    return [Row(128, case != "bias", s, max(1, TOKENS // s), HIDDEN // 128, case)
            for case, seqs in lengths.items() for s in seqs]


def shape_rows():
    """Kinds of calls that the square suite lacks: many short sequences, chunks of a prompt against a
    long cache, grouped heads at odd lengths, one head, encoders."""
    short = [Row(d, False, s, 32768 // s, HIDDEN // d) for d in (64, 128) for s in (128, 200)]
    chunks = [Row(128, True, s, 1, 32, kv_heads=8, kv_len=keys)
              for s, keys in ((512, 16384), (2048, 16384), (2048, 65536))]
    grouped = [Row(128, True, s, 4, 32, kv_heads=8) for s in (1100, 1900, 3000)]
    single = [Row(128, causal, 8192, 1, 1) for causal in (False, True)]
    encoders = [Row(64, False, 1500, b, h) for b, h in ((8, 20), (16, 12))]
    return short + chunks + grouped + single + encoders


def decode_rows():
    """Few queries against many keys."""
    batch_1 = [Row(128, False, 1, 1, 64, kv_heads=8, kv_len=keys)
               for keys in (2048, 8192, 32768, 131072)]
    few_heads = [Row(128, False, 1, 1, 8, kv_heads=8, kv_len=4096),
                 Row(128, False, 1, 1, 16, kv_heads=2, kv_len=2048),
                 Row(256, False, 1, 1, 32, kv_heads=2, kv_len=8192),
                 Row(64, False, 1, 1, 64, kv_heads=8, kv_len=8192)]
    batches = [Row(d, False, 1, b, 32, kv_heads=kv_heads, kv_len=keys) for d, kv_heads, b, keys in (
        (128, 8, 8, 4096), (128, 8, 64, 4096), (128, 8, 64, 16384), (128, 8, 256, 2048),
        (256, 2, 64, 8192))]
    queries = [Row(128, True, s, b, 64, kv_heads=8, kv_len=keys)
               for s, b, keys in ((2, 1, 32768), (4, 1, 32768), (16, 1, 32768), (4, 16, 8192))]
    return batch_1 + few_heads + batches + queries


def backward_rows():
    """The 12 rows of the h200-backward suite."""
    return [Row(d, causal, s, TOKENS // s, HIDDEN // d, backward=True)
            for d in (64, 128) for causal in (False, True) for s in (1024, 4096, 16384)]


def backward_shape_rows():
    """Backward passes that the square suite lacks: grouped heads, other head dims, a narrow window,
    a soft cap, ALiBi, documents."""
    def row(d, s, case="", causal=True, h=0, **others):
        return Row(d, causal, s, TOKENS // s, h or HIDDEN // d, case, backward=True, **others)

    grouped = [row(128, s, causal=causal, h=64, kv_heads=8)
               for causal in (True, False) for s in (4096, 16384)]
    wide = [row(256, 4096), row(256, 16384), row(256, 16384, causal=False)]
    mixed = [row(192, 4096, causal=causal, h=16, value_d=128) for causal in (True, False)]
    windows = [row(d, 16384, "window128") for d in (64, 128)]
    scores = [row(d, 4096, "softcap") for d in (64, 128)] + [row(128, 4096, "alibi")]
    return grouped + wide + mixed + windows + scores + [row(128, 16384, "documents")]


SUITES = {"h200-forward": forward_rows, "masks": mask_rows, "shapes": shape_rows,
          "decode": decode_rows, "h200-backward": backward_rows,
          "backward-shapes": backward_shape_rows}


def select(rows, filters):
    """The rows that fit one of `filters`, such as "d=128,causal=1"; all if there are none."""
    def same(found, text):
        return found == text if isinstance(found, str) else int(found) == int(text)

    def fits(row, text):
        parts = (part.split("=") for part in text.split(","))
        return all(same(getattr(row, key), value) for key, value in parts)

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

    def figure(self, name):
        """Microseconds of a decode row, TFLOP/s of another."""
        tflops = self.tflops(name)
        return self.row.flops / (tflops * 1e6) if tflops and self.row.is_decode else tflops

    def to_peer(self, name, peer):
        """TFLOP/s over those of a peer, measured in the same rounds."""
        ours, theirs = self.tflops(name), self.tflops(peer)
        return ours / theirs if ours and theirs else None

    def to_fastest(self, name):
        """The same of the fastest peer."""
        ratios = [self.to_peer(name, r.name) for r in self.results if not r.ours]
        return min(filter(None, ratios), default=None)

    def to_cudnn(self, name):
        return self.to_peer(name, "cudnn")

    def to_best(self, name):
        """The ratio to cuDNN measured now times that of cuDNN to the best peer in the file: cards
        and days differ, ratios hardly do."""
        ratio = self.to_cudnn(name)
        return ratio * self.cudnn_of_file / self.best if ratio and self.best else None


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def load_baseline(path):
    """(cudnn, best) of every row in the file."""
    with open(path) as file:
        data = json.load(file)
    return {Row(r["d"], r["causal"], r["s"], r["b"], r["h"], backward=key == "bwd"):
            (r["cudnn"], r["best"]) for key in ("fwd", "bwd") for r in data.get(key, [])}


def our_names(reports):
    return _names(reports, ours=True)


def _names(reports, ours):
    return list(dict.fromkeys(r.name for report in reports for r in report.results
                              if r.ours == ours))


def _ratios(reports):
    """By title, ratio(report, name): to every peer that was measured, to the fastest of them, and,
    where there is a baseline, through cuDNN to the best peer there."""
    peers = _names(reports, ours=False)
    ratios = {peer: lambda report, name, peer=peer: report.to_peer(name, peer) for peer in peers}
    if len(peers) > 1:
        ratios["fastest"] = RowReport.to_fastest
    if any(report.best for report in reports):
        ratios["best"] = RowReport.to_best
    return ratios


def _cell(value, digits):
    return "-" if value is None else f"{value:.{digits}f}"


def table(reports):
    """One line a row: TFLOP/s, or microseconds, of every candidate, then our ratios."""
    names = list(dict.fromkeys(r.name for report in reports for r in report.results))
    ours, ratios = our_names(reports), _ratios(reports)
    header = ["d", "mask", "seq", "batch x heads", *names]
    header += [f"{name}/{title}" for name in ours for title in ratios]
    lines = [header]
    for report in reports:
        row = report.row
        line = [row.dims, case_of(row).name, row.length, f"{row.b} x {row.heads}"]
        line += [_cell(report.figure(name), 1) for name in names]
        line += [_cell(ratio(report, name), 3) for name in ours for ratio in ratios.values()]
        lines.append(line)
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join(cell.rjust(w) for cell, w in zip(line, widths)) for line in lines)


def summary(reports):
    """Geometric means by group and overall, the lowest row, and every failure."""
    lines = []
    for name in our_names(reports):
        for title, ratio in _ratios(reports).items():
            title = "best of the baseline" if title == "best" else f"{title}, measured now"
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
                         f"({len(rated)} rows), lowest {lowest:.3f} ({row.group}, seq {row.length})")
    for report in reports:
        for result in report.results:
            if result.failure:
                lines.append(f"{report.row.group}, seq {report.row.length}: {result.name}: "
                             f"{result.failure}")
    return "\n".join(lines)


def write_json(path, about, reports):
    ratios = _ratios(reports)
    rows = [{**asdict(report),
             "ratios": {name: {title: ratio(report, name) for title, ratio in ratios.items()}
                        for name in our_names([report])}}
            for report in reports]
    with open(path, "w") as file:
        json.dump({**about, "rows": rows}, file, indent=1)


def write_csv(path, reports):
    """One line for every row and candidate."""
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["pass", "d", "value_d", "mask", "causal", "seq", "batch", "heads", "kv_heads",
                         "kv_len", "candidate", "label", "ms", "spread", "tflops", "to_cudnn", "to_best", "error", "failure"])
        for report in reports:
            row = report.row
            for r in report.results:
                writer.writerow(["backward" if row.backward else "forward", row.d, row.value_dim,
                                 case_of(row).name, int(row.causal), row.s, row.b, row.h,
                                 row.kv_heads or row.h, row.keys, r.name, r.label, r.milliseconds,
                                 r.spread, r.tflops, report.to_cudnn(r.name), report.to_best(r.name), r.error,
                                 r.failure])

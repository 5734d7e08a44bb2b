#!/usr/bin/env python3
"""Turns the JSON of peers.py into what docs/performance.md shows: Markdown tables on standard output,
a CSV, and with --svg (needs matplotlib) a plot.

    bench/performance_tables.py peers.json --csv docs/measurements/h200-forward.csv \\
        --svg docs/measurements/h200-forward.svg
"""
import argparse
import csv
import json
import re
from dataclasses import dataclass
from statistics import geometric_mean


@dataclass
class Row:
    head_dim: int
    causal: bool
    seq: int
    batch: int
    heads: int
    milliseconds: float
    tflops: float
    spread: float
    fa3_tflops: float
    cudnn_tflops: float
    to_fa3: float
    to_cudnn: float
    to_best: float
    schedule: str
    error: float


def short_schedule(description):
    """The knobs of a kernel's description that differ between rows."""
    knob = dict(re.findall(r"(\w+) (\w+)(?:,|$)", description.split("schedule:")[1].split("\n")[0]))
    text = f"{knob['tile_q']} x {knob['tile_kv']}, {knob['stages']} stages, {knob['softmax']}"
    if knob["q_in_registers"] == "true":
        text += ", Q in registers"
    if knob["o_passes"] != "1":
        text += f", O in {knob['o_passes']} passes"
    return text


def read_rows(path):
    for entry in json.load(open(path))["rows"]:
        row, results = entry["row"], {r["name"]: r for r in entry["results"]}
        ours, peers = results["ours"], [results[name]["tflops"] for name in ("fa3", "cudnn")]
        ratios = [ours["tflops"] / peer for peer in peers]
        yield Row(row["d"], row["causal"], row["s"], row["b"], row["h"], ours["milliseconds"],
                  ours["tflops"], ours["spread"], *peers, *ratios, min(ratios),
                  short_schedule(ours["label"]), ours["error"])


def print_groups(rows):
    print("| rows | to FlashAttention-3 | to cuDNN | to the better one | lowest |\n|---|---|---|---|---|")
    groups = {}
    for row in rows:
        name = f"head_dim {row.head_dim}, {'causal' if row.causal else 'full'}"
        groups.setdefault(name, []).append(row)
    for name, group in [*groups.items(), (f"all {len(rows)}", rows)]:
        print(f"| {name} | {geometric_mean(r.to_fa3 for r in group):.3f} "
              f"| {geometric_mean(r.to_cudnn for r in group):.3f} "
              f"| {geometric_mean(r.to_best for r in group):.3f} "
              f"| {min(r.to_best for r in group):.3f} |")


def print_rows(rows):
    print("| head_dim | mask | seq | batch x heads | TFLOP/s | spread | FlashAttention-3 | cuDNN "
          "| to the better one | schedule |\n|---|---|---|---|---|---|---|---|---|---|")
    for r in rows:
        print(f"| {r.head_dim} | {'causal' if r.causal else 'full'} | {r.seq} "
              f"| {r.batch} x {r.heads} | {r.tflops:.1f} | {100 * r.spread:.1f} % "
              f"| {r.fa3_tflops:.1f} | {r.cudnn_tflops:.1f} | **{r.to_best:.3f}** | {r.schedule} |")


def write_csv(rows, path):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row.__dataclass_fields__)
        for row in rows:
            writer.writerow(f"{v:.5g}" if isinstance(v, float) else v for v in vars(row).values())


def write_svg(rows, path):
    import matplotlib
    matplotlib.use("svg")
    import matplotlib.pyplot as plt
    plt.rcParams.update({"svg.hashsalt": "streamattn", "font.size": 9})
    dims = sorted({r.head_dim for r in rows})
    figure, grid = plt.subplots(2, len(dims), figsize=(10, 5.4), sharex=True, squeeze=False)
    for axes, causal in zip(grid, (False, True)):
        for axis, dim in zip(axes, dims):
            group = [r for r in rows if (r.head_dim, r.causal) == (dim, causal)]
            seqs = [r.seq for r in group]
            axis.plot(seqs, [r.tflops for r in group], "o-", label="StreamAttention")
            axis.plot(seqs, [r.cudnn_tflops for r in group], "s--", label="cuDNN")
            axis.plot(seqs, [r.fa3_tflops for r in group], "^:", label="FlashAttention-3")
            axis.set_xscale("log", base=2)
            axis.set_xticks(seqs, [f"{s // 1024}K" if s >= 1024 else str(s) for s in seqs])
            axis.set_ylim(0)
            axis.grid(alpha=0.3)
            axis.set_title(f"head_dim {dim}, {'causal' if causal else 'full'}")
    for axis in grid[-1]:
        axis.set_xlabel("sequence length")
    for axes in grid:
        axes[0].set_ylabel("TFLOP/s")
    grid[0][0].legend(loc="lower right", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peers_json")
    parser.add_argument("--csv")
    parser.add_argument("--svg")
    options = parser.parse_args()
    rows = list(read_rows(options.peers_json))
    print_groups(rows)
    print()
    print_rows(rows)
    if options.csv:
        write_csv(rows, options.csv)
    if options.svg:
        write_svg(rows, options.svg)


if __name__ == "__main__":
    main()

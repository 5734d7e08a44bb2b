#!/usr/bin/env python3
"""Times our kernels beside PyTorch's cuDNN, FlashAttention-2 and FlexAttention, and beside
FlashAttention-3 and -4 where their packages are installed.

One process, interleaved rounds, a suite of rows: the 36 of h200-forward; masks and scores; other
shapes; decode, in kernel time; the backward pass, in kernel time too. Every result of ours is checked
against float64 before it is timed. Needs PyTorch with CUDA; see bench/README.md.

    bench/peers.py --library build/lib/libstreamattn.so --peers cudnn fa2 --json peers.json
    bench/peers.py --library build/lib/libstreamattn.so --suite masks --json masks.json
    bench/peers.py --library build/lib/libstreamattn.so --suite h200-backward --json backward.json
    bench/peers.py --library build/lib/libstreamattn.so --other-libraries before.so --peers
"""

import argparse
import math
import sys
import time
from pathlib import Path

import torch

import backward_peers
import forward_peers
import peer_cases
import peer_report
from peer_cases import Unserved, case_of
from peer_report import Result, RowReport
from rounds import Candidate, CudaStopwatch, KernelStopwatch, time_interleaved
from streamattn_library import Library, Problem, Shape, named_torch_tensor, torch_tensor

# What is measured beside ours where no peers are named.
DEFAULT_PEERS = {"h200-forward": ["cudnn"], "masks": ["fa3", "cudnn", "flex", "flex_flash"],
                 "shapes": ["fa3", "cudnn"], "decode": ["fa3", "cudnn"],
                 "h200-backward": ["fa3", "fa4", "fa4_deterministic", "cudnn"],
                 "backward-shapes": ["fa3", "fa4", "fa4_deterministic", "cudnn", "flex"]}
# Suites of figures in kernel time: calls are short, or cost their host more than a launch.
KERNEL_TIME = {"decode", "h200-backward", "backward-shapes"}
DTYPES = {"bf16": torch.bfloat16, "f16": torch.float16}


class Inputs:
    """Independent N(0, 1) tensors of one row in [batch, seq, heads, dim] order, and those that its
    case names."""

    def __init__(self, row, dtype, seed):
        generator = torch.Generator("cuda").manual_seed(seed)

        def normal(*sizes):
            return torch.randn(sizes, device="cuda", dtype=dtype, generator=generator)

        self.row, self.case = row, case_of(row)
        self.q = normal(row.b, row.s, row.h, row.d)
        self.k = normal(row.b, row.keys, row.h // row.group_size, row.d)
        self.v = normal(row.b, row.keys, row.h // row.group_size, row.value_dim)
        self.tensors = {}
        for name, (contents, _) in self.case.tensors.items():
            if contents == "slopes":
                self.tensors[name] = torch.tensor(peer_cases.slopes(row.h), device="cuda")
            elif contents == "documents":
                self.tensors[name] = document_of_each(self.case.documents)
            else:
                self.tensors[name] = normal(*self.case.sizes(name, row))
        self.d_o = normal(row.b, row.s, row.h, row.value_dim) if row.backward else None

    def bhsd(self):
        return [x.transpose(1, 2) for x in (self.q, self.k, self.v)]


def document_of_each(lengths):
    """The number of its document, for each position."""
    numbers = torch.arange(len(lengths), device="cuda", dtype=torch.int32)
    return numbers.repeat_interleave(torch.tensor(lengths, device="cuda"))


def pass_of(row):
    """The module with the peers of a row and the check of its results."""
    return backward_peers if row.backward else forward_peers


def run_once(candidate):
    with candidate.scope():
        result = candidate.call()
    torch.cuda.synchronize()
    return result


def poison(*sizes, dtype=torch.float32):
    return torch.full(sizes, math.nan, device="cuda", dtype=dtype)


class Ours:
    """The schedules of one library: the shipped ones, or those of a TOML file."""

    def __init__(self, library, name, pins=None, is_peer=False):
        self.name, self.is_peer, self._pins = name, is_peer, pins
        self._jit = library.jit(pins=pins)

    def has_schedule(self, label):
        """Whether the kernel with this label was chosen by the schedules given."""
        return self._pins is None or "row pins:" in label

    def build(self, inputs, dtype):
        """A candidate whose call returns (o, lse), or (dQ, dK, dV); its label is the kernel's
        description."""
        row, case = inputs.row, inputs.case
        problem = Problem(dtype=dtype, head_dim=row.d, value_head_dim=row.value_dim, mask=case.mask,
                          score=case.score.format(dtype=dtype), group_size=row.group_size)
        shape = Shape(row.b, row.h // row.group_size, row.s, row.keys)
        tensors = {"q": inputs.q, "k": inputs.k, "v": inputs.v}
        results = {"o": poison(row.b, row.s, row.h, row.value_dim, dtype=inputs.q.dtype),
                   "lse": poison(row.b, row.h, row.s, 1).transpose(1, 2)}
        kernel = self._jit.forward(problem, shape)
        candidate = self._candidate(kernel, inputs, tensors, results)
        if row.backward:
            run_once(candidate)
            tensors.update(results, d_o=inputs.d_o)
            results = {f"d_{name}": poison(*tensors[name].shape, dtype=inputs.q.dtype)
                       for name in "qkv"}
            kernel = self._jit.backward(problem, shape)
            candidate = self._candidate(kernel, inputs, tensors, results)
        return candidate, kernel.describe()

    def _candidate(self, kernel, inputs, tensors, results):
        workspace = []

        def allocate(size):
            workspace.append(torch.empty(size, dtype=torch.uint8, device="cuda"))
            return workspace[0].data_ptr()

        launch = kernel.prepare(
            **{name: torch_tensor(x) for name, x in {**tensors, **results}.items()},
            stream=torch.cuda.current_stream().cuda_stream, allocate=allocate,
            scalars=inputs.case.scalars,
            tensors=[named_torch_tensor(name, x) for name, x in inputs.tensors.items()])

        def call(_alive=(workspace, inputs, tensors)):
            launch()
            return tuple(results.values())

        return Candidate(self.name, call)


def prepare_peer(name, inputs, check):
    """(Result, Candidate); the candidate is None where the peer is missing or fails."""
    result = Result(name, ours=False)
    try:
        candidate = pass_of(inputs.row).PEERS[name](inputs)
        result.error = check.error(run_once(candidate))
        return result, candidate
    except Unserved as reason:
        result.failure = str(reason)
        return result, None
    except Exception as failure:  # whatever a peer does, the others are still measured
        result.failure = f"{type(failure).__name__}: {(str(failure) or 'no reason given').splitlines()[0]}"
        return result, None


def prepare_ours(ours, inputs, check, dtype, peer, theirs):
    """Like prepare_peer(), after a check of the result, also beside `theirs` of a peer; no Result where
    a file of schedules has none for this row."""
    result = Result(ours.name, ours=not ours.is_peer)
    try:
        candidate, result.label = ours.build(inputs, dtype)
        if not ours.has_schedule(result.label):
            return None, None
        result.error = check.refuse(run_once(candidate), peer, theirs)
        return result, candidate
    except Exception as failure:
        result.failure = f"{type(failure).__name__}: {failure}"
        return result, None


def measure(row, all_ours, options, stopwatch):
    inputs = Inputs(row, DTYPES[options.dtype], options.seed)
    check = pass_of(row).Check(inputs)
    prepared = [prepare_peer(name, inputs, check) for name in options.peers]
    judge = min((pair for pair in prepared if pair[1]), key=lambda pair: pair[0].error, default=None)
    peer, theirs = (judge[0].name, run_once(judge[1])) if judge else (None, None)
    prepared += [prepare_ours(ours, inputs, check, options.dtype, peer, theirs) for ours in all_ours]
    prepared = [(result, candidate) for result, candidate in prepared if result]
    candidates = [candidate for _, candidate in prepared if candidate]
    timings = time_interleaved(candidates, stopwatch, options.rounds, options.round_ms,
                               options.seed)
    report = RowReport(row, [result for result, _ in prepared], check.plain_error)
    for result in report.results:
        if timing := timings.get(result.name):
            result.milliseconds, result.spread = timing.milliseconds, timing.spread
            result.rounds = timing.rounds
            result.tflops = row.flops / (timing.milliseconds * 1e9)
    return report


def kernel_that_ran(candidate):
    """Name of the kernel that took the most time in one call; None if the profiler sees none."""
    from torch.profiler import ProfilerActivity, profile
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        run_once(candidate)
    kernels = [event for event in profiler.events() if event.device_type.name == "CUDA"]
    if not kernels:
        return None
    return max(kernels, key=lambda event: event.time_range.elapsed_us()).name


def prove_backends(reports, options):
    """Labels every peer with the kernel that runs under its name, and takes its figure away when
    that is another backend's. Done last: a profiler disturbs what is timed after it."""
    for report in reports:
        inputs, peers = Inputs(report.row, DTYPES[options.dtype], options.seed), pass_of(report.row)
        for result in report.results:
            if result.failure or result.name not in peers.PEERS:
                continue
            try:
                kernel = kernel_that_ran(peers.PEERS[result.name](inputs))
                result.label = kernel or "not proved: the profiler saw no kernel"
            except Exception as failure:
                kernel, result.label = None, f"not proved: {failure}"
            if kernel and peers.PROOF[result.name] not in kernel.lower():
                result.failure = f"another backend ran: {kernel}"


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", required=True, help="libstreamattn.so")
    parser.add_argument("--suite", choices=peer_report.SUITES, default="h200-forward")
    parser.add_argument("--peers", nargs="*",
                        choices=sorted(forward_peers.PEERS | backward_peers.PEERS),
                        help="(cudnn; fa3 too of other suites, fa4 of the backward pass, flex of masks "
                             "and of shapes of the backward pass)")
    parser.add_argument("--rows", action="append", default=[], metavar="FILTER",
                        help='such as "d=128,causal=1" or "case=softcap"; may be repeated')
    parser.add_argument("--schedule-variants", nargs="*", default=[], type=Path, metavar="TOML",
                        help="each file of schedule rows competes beside the shipped schedules")
    parser.add_argument("--other-libraries", nargs="*", default=[], type=Path, metavar="SO",
                        help="each, such as one of an earlier commit, competes as a peer")
    parser.add_argument("--dtype", choices=DTYPES, default="bf16")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--round-ms", type=float, default=35)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--baseline", help="JSON with peers' figures, for the ratio to the best")
    parser.add_argument("--json", help="write everything, every round included")
    parser.add_argument("--csv", help="write one line for every row and candidate")
    options = parser.parse_args()
    if options.peers is None:
        options.peers = DEFAULT_PEERS[options.suite]
    known = pass_of(peer_report.SUITES[options.suite]()[0]).PEERS
    if unknown := [name for name in options.peers if name not in known]:
        parser.error(f"{options.suite} has no peer {unknown[0]}, known: {', '.join(known)}")
    return options


def write_files(options, about, reports):
    if options.json:
        peer_report.write_json(options.json, about, reports)
    if options.csv:
        peer_report.write_csv(options.csv, reports)


def main():
    options = parse_options()
    torch.manual_seed(options.seed)
    torch.empty(1, device="cuda")  # makes PyTorch's context current, which ours then uses too
    library = Library(options.library)
    all_ours = [Ours(library, "ours")]
    all_ours += [Ours(library, path.stem, path.read_text()) for path in options.schedule_variants]
    all_ours += [Ours(Library(path), path.stem, is_peer=True) for path in options.other_libraries]
    baseline = peer_report.load_baseline(options.baseline) if options.baseline else {}
    about = {"device": torch.cuda.get_device_name(), "streamattn": library.version(),
             "torch": torch.__version__, "cuda": torch.version.cuda,
             "cudnn": torch.backends.cudnn.version(), "dtype": options.dtype,
             "rounds": options.rounds, "round_ms": options.round_ms}
    print(", ".join(f"{key} {value}" for key, value in about.items()), flush=True)

    stopwatch = KernelStopwatch() if options.suite in KERNEL_TIME else CudaStopwatch()
    reports = []
    rows = peer_report.select(peer_report.SUITES[options.suite](), options.rows)
    begin = time.monotonic()
    for row in rows:
        report = measure(row, all_ours, options, stopwatch)
        report.cudnn_of_file, report.best = baseline.get(row, (None, None))
        reports.append(report)
        figures = ", ".join(f"{r.name} "
                            f"{r.failure or f'{report.figure(r.name):.1f} +-{100 * r.spread:.0f}%'}"
                            for r in report.results)
        print(f"{len(reports)}/{len(rows)} {time.monotonic() - begin:.0f} s  {row.group} seq "
              f"{row.length}: {figures}", file=sys.stderr, flush=True)
        write_files(options, about, reports)  # a run that is cut short keeps what it has
    prove_backends(reports, options)
    write_files(options, about, reports)
    print(peer_report.table(reports))
    print(peer_report.summary(reports))
    return any(r.ours and r.failure for report in reports for r in report.results)


if __name__ == "__main__":
    sys.exit(main())

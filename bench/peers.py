#!/usr/bin/env python3
"""Times our forward kernels beside PyTorch's cuDNN, FlashAttention-2 and FlexAttention, and beside
FlashAttention-3 where its package is installed.

One process, interleaved rounds, a suite of rows: the 36 of h200-forward; masks and scores; other
shapes; decode, in kernel time. Every result of ours is checked against float64 before it is timed. Needs PyTorch
with CUDA; see bench/README.md.

    bench/peers.py --library build/lib/libstreamattn.so --peers cudnn fa2 --json peers.json
    bench/peers.py --library build/lib/libstreamattn.so --suite masks --json masks.json
"""

import argparse
import math
import sys
import time
from pathlib import Path

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

import peer_cases
import peer_report
from peer_cases import Unserved, case_of
from peer_report import Result, RowReport
from rounds import Candidate, CudaStopwatch, KernelStopwatch, time_interleaved
from streamattn_library import Library, Problem, Shape, named_torch_tensor, torch_tensor

# A word in the name of the kernel that proves which backend ran.
PROOF = {"cudnn": "cudnn", "fa2": "flash_fwd", "fa3": "flashattnfwd", "flex": "triton",
         "flex_flash": "flash"}
# What is measured beside ours where no peers are named.
DEFAULT_PEERS = {"h200-forward": ["cudnn"], "masks": ["fa3", "cudnn", "flex", "flex_flash"],
                 "shapes": ["fa3", "cudnn"], "decode": ["fa3", "cudnn"]}
DTYPES = {"bf16": torch.bfloat16, "f16": torch.float16}


class Inputs:
    """Independent N(0, 1) tensors of one row in [batch, seq, heads, dim] order, and those that its
    case names."""

    def __init__(self, row, dtype, seed):
        generator = torch.Generator("cuda").manual_seed(seed)
        kv_sizes = (row.b, row.keys, row.kv_heads or row.h, row.d)
        self.row, self.case = row, case_of(row)
        self.q, self.k, self.v = (torch.randn(sizes, device="cuda", dtype=dtype,
                                              generator=generator)
                                  for sizes in ((row.b, row.s, row.h, row.d), kv_sizes, kv_sizes))
        self.tensors = {}
        for name, (contents, _) in self.case.tensors.items():
            if contents == "slopes":
                self.tensors[name] = torch.tensor(peer_cases.slopes(row.h), device="cuda")
            else:
                self.tensors[name] = torch.randn(self.case.sizes(name, row), device="cuda",
                                                 dtype=dtype, generator=generator)

    def bhsd(self):
        return [x.transpose(1, 2) for x in (self.q, self.k, self.v)]


def sdpa_peer(name, backend):
    def build(inputs):
        q, k, v = inputs.bhsd()
        arguments = inputs.case.sdpa_arguments(inputs.tensors)
        if inputs.row.causal and not inputs.row.is_square:
            raise Unserved("PyTorch's causal mask puts the first query at the first key")
        grouped = inputs.row.group_size > 1

        def call():
            return scaled_dot_product_attention(q, k, v, enable_gqa=grouped, **arguments)

        return Candidate(name, call, lambda: sdpa_kernel(backend))
    return build


def fa3_module():
    """FlashAttention-3 of whichever package is installed: its own or tokenspeed-fa3, else fa3-fwd."""
    try:
        import flash_attn_interface as module
    except ModuleNotFoundError:
        import fa3_fwd_interface as module
    return module


def fa3_peer(inputs):
    arguments = inputs.case.fa3_arguments()
    # The function for caches splits keys over the multiprocessors.
    function = getattr(fa3_module(), "flash_attn_with_kvcache" if inputs.row.is_decode
                       else "flash_attn_func")

    def call():
        result = function(inputs.q, inputs.k, inputs.v, **arguments)
        # Some versions return the log-sum-exp as well.
        return (result[0] if isinstance(result, tuple) else result).transpose(1, 2)

    return Candidate("fa3", call)


def flex_peer(name, options):
    def build(inputs):
        from torch.nn.attention.flex_attention import create_block_mask, flex_attention
        torch._dynamo.reset()  # past a number of shapes flex_attention silently runs unfused
        compiled = torch.compile(flex_attention, dynamic=False)
        q, k, v = inputs.bhsd()
        if not inputs.row.is_square:
            raise Unserved("compared on squares alone")
        case, s, mask, score = inputs.case, inputs.row.s, None, None
        sees, change, tensors = case.sees, case.change, inputs.tensors
        if case.mask != "true":
            # Compiled, as it would hold a flag for every pair otherwise.
            mask = torch.compile(create_block_mask)(
                lambda b, h, q_index, k_index: sees(q_index, k_index), None, None, s, s,
                device="cuda")
        if case.score != "score":
            def score(found, b, h, q_index, k_index):
                return change(found, q_index, k_index, h, tensors)

        return Candidate(name, lambda: compiled(q, k, v, block_mask=mask, score_mod=score,
                                                enable_gqa=inputs.row.group_size > 1,
                                                kernel_options=options))
    return build


PEERS = {"cudnn": sdpa_peer("cudnn", SDPBackend.CUDNN_ATTENTION),
         "fa2": sdpa_peer("fa2", SDPBackend.FLASH_ATTENTION),
         "fa3": fa3_peer,
         "flex": flex_peer("flex", None),
         "flex_flash": flex_peer("flex_flash", {"BACKEND": "FLASH"})}


def run_once(candidate):
    with candidate.scope():
        result = candidate.call()
    torch.cuda.synchronize()
    return result


class Ours:
    """One of our schedules: the shipped ones, or those of a TOML file."""

    def __init__(self, library, name, pins):
        self.name, self._pins = name, pins
        self._jit = library.jit(pins=pins)

    def has_schedule(self, label):
        """Whether the kernel with this label was chosen by the schedules given."""
        return self._pins is None or "row pins:" in label

    def build(self, inputs, dtype):
        """A candidate whose call returns (o, lse); its label is the kernel's description."""
        row, case = inputs.row, inputs.case
        problem = Problem(dtype=dtype, head_dim=row.d, mask=case.mask,
                          score=case.score.format(dtype=dtype), group_size=row.group_size)
        kernel = self._jit.forward(
            problem, Shape(row.b, row.h // row.group_size, row.s, row.keys))
        label = kernel.describe()
        o = torch.full_like(inputs.q, math.nan)
        lse = torch.full((row.b, row.h, row.s, 1), math.nan, device="cuda").transpose(1, 2)
        workspace = []

        def allocate(size):
            workspace.append(torch.empty(size, dtype=torch.uint8, device="cuda"))
            return workspace[0].data_ptr()

        launch = kernel.prepare(
            q=torch_tensor(inputs.q), k=torch_tensor(inputs.k), v=torch_tensor(inputs.v),
            o=torch_tensor(o), lse=torch_tensor(lse),
            stream=torch.cuda.current_stream().cuda_stream, allocate=allocate,
            scalars=case.scalars,
            tensors=[named_torch_tensor(name, x) for name, x in inputs.tensors.items()])

        def call(_alive=(workspace, inputs)):
            launch()
            return o, lse

        return Candidate(self.name, call), label


class Sample:
    """Output rows drawn from a few heads, exact in float64 and by plain attention."""

    def __init__(self, inputs, heads=4, rows=64):
        row, case = inputs.row, inputs.case
        self.picks = []  # (batch, head, rows)
        exact, plain, lse = [], [], []
        for _ in range(heads):
            b, h = int(torch.randint(row.b, ())), int(torch.randint(row.h, ()))
            index, kv_h = torch.randperm(row.s)[:rows].cuda(), h // row.group_size
            self.picks.append((b, h, index))
            q, k, v = inputs.q[b, index, h], inputs.k[b, :, kv_h], inputs.v[b, :, kv_h]
            # The last query is at the last key.
            at_q = (index + row.keys - row.s)[:, None]
            at_k = torch.arange(row.keys, device="cuda")[None, :]
            hidden = ~case.sees(at_q, at_k)

            def scores(q, k):
                products = q @ k.T / math.sqrt(row.d)
                return case.change(products, at_q, at_k, h, inputs.tensors).masked_fill(hidden,
                                                                                      -math.inf)

            sharp, rough = scores(q.double(), k.double()), scores(q.float(), k.float())
            exact.append(sharp.softmax(-1) @ v.double())
            lse.append(sharp.logsumexp(-1))
            plain.append((rough.softmax(-1).to(q.dtype) @ v).double())
        self.exact, self.lse = torch.cat(exact), torch.cat(lse)
        self.plain_error = self._relative(torch.cat(plain))

    def _relative(self, found):
        return float((found - self.exact).norm() / self.exact.norm())

    def error(self, o):
        return self._relative(torch.cat([o[b, index, h].double() for b, h, index in self.picks]))

    def lse_error(self, lse):
        found = torch.cat([lse[b, index, h, 0].double() for b, h, index in self.picks])
        return float((found - self.lse).abs().max())


def prepare_peer(name, inputs, sample):
    """(Result, Candidate); the candidate is None where the peer is missing or fails."""
    result = Result(name, ours=False)
    try:
        candidate = PEERS[name](inputs)
        output = run_once(candidate)
        result.error = sample.error(output.transpose(1, 2))
        return result, candidate
    except Unserved as reason:
        result.failure = str(reason)
        return result, None
    except Exception as failure:  # whatever a peer does, the others are still measured
        result.failure = f"{type(failure).__name__}: {str(failure).splitlines()[0]}"
        return result, None


def prepare_ours(ours, inputs, sample, dtype, cudnn_output):
    """Like prepare_peer(), after a check of the result; no Result where a file of schedules has
    none for this row."""
    result = Result(ours.name, ours=True)
    try:
        candidate, result.label = ours.build(inputs, dtype)
        if not ours.has_schedule(result.label):
            return None, None
        o, lse = run_once(candidate)
        result.error, lse_error = sample.error(o), sample.lse_error(lse)
        if not result.error <= 2 * sample.plain_error:
            raise ArithmeticError(f"error {result.error:.2e}, plain attention has "
                                  f"{sample.plain_error:.2e}")
        if not lse_error <= 1e-3:
            raise ArithmeticError(f"LSE is off by {lse_error:.2e}")
        if cudnn_output is not None:
            apart = float((o.float() - cudnn_output.float()).norm() / cudnn_output.float().norm())
            if not apart <= 4 * sample.plain_error:
                raise ArithmeticError(f"differs from cuDNN by {apart:.2e}")
        return result, candidate
    except Exception as failure:
        result.failure = f"{type(failure).__name__}: {failure}"
        return result, None


def measure(row, all_ours, options, stopwatch):
    inputs = Inputs(row, DTYPES[options.dtype], options.seed)
    sample = Sample(inputs)
    prepared = [prepare_peer(name, inputs, sample) for name in options.peers]
    cudnn = next((candidate for result, candidate in prepared if result.name == "cudnn"), None)
    cudnn_output = run_once(cudnn).transpose(1, 2) if cudnn else None
    prepared += [prepare_ours(ours, inputs, sample, options.dtype, cudnn_output)
                 for ours in all_ours]
    prepared = [(result, candidate) for result, candidate in prepared if result]
    candidates = [candidate for _, candidate in prepared if candidate]
    timings = time_interleaved(candidates, stopwatch, options.rounds, options.round_ms,
                               options.seed)
    report = RowReport(row, [result for result, _ in prepared], sample.plain_error)
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
        inputs = Inputs(report.row, DTYPES[options.dtype], options.seed)
        for result in report.results:
            if result.ours or result.failure:
                continue
            try:
                kernel = kernel_that_ran(PEERS[result.name](inputs))
                result.label = kernel or "not proved: the profiler saw no kernel"
            except Exception as failure:
                kernel, result.label = None, f"not proved: {failure}"
            if kernel and PROOF[result.name] not in kernel.lower():
                result.failure = f"another backend ran: {kernel}"


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", required=True, help="libstreamattn.so")
    parser.add_argument("--suite", choices=peer_report.SUITES, default="h200-forward")
    parser.add_argument("--peers", nargs="*", choices=PEERS,
                        help="(cudnn; fa3 too of other suites, of masks all but fa2)")
    parser.add_argument("--rows", action="append", default=[], metavar="FILTER",
                        help='such as "d=128,causal=1" or "case=softcap"; may be repeated')
    parser.add_argument("--schedule-variants", nargs="*", default=[], type=Path, metavar="TOML",
                        help="each file of schedule rows competes beside the shipped schedules")
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
    all_ours = [Ours(library, "ours", None)]
    all_ours += [Ours(library, path.stem, path.read_text()) for path in options.schedule_variants]
    baseline = peer_report.load_baseline(options.baseline) if options.baseline else {}
    about = {"device": torch.cuda.get_device_name(), "streamattn": library.version(),
             "torch": torch.__version__, "cuda": torch.version.cuda,
             "cudnn": torch.backends.cudnn.version(), "dtype": options.dtype,
             "rounds": options.rounds, "round_ms": options.round_ms}
    print(", ".join(f"{key} {value}" for key, value in about.items()), flush=True)

    stopwatch = KernelStopwatch() if options.suite == "decode" else CudaStopwatch()
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

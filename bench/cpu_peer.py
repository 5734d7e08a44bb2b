#!/usr/bin/env python3
"""Times the CPU target beside PyTorch's scaled_dot_product_attention on the same cores.

One process, the same threads, interleaved rounds by the wall clock; see rounds.py. Every result of
ours is compared with PyTorch's before it is timed. Needs any PyTorch:

    bench/cpu_peer.py --library build/lib/libstreamattn.so --threads 8
"""

import argparse
import itertools
import math
import os
import statistics
import sys
import time

import torch
from torch.nn.functional import scaled_dot_product_attention

from rounds import Candidate, time_interleaved
from streamattn_library import Library, Problem, Shape, torch_tensor

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
# Two results in 16 bits differ by their roundings, of probabilities and of the output.
MOST_DIFFERENCE = {"f32": 1e-5, "bf16": 1e-2, "f16": 2e-3}


def stopwatch(candidate, runs):
    """Milliseconds of each of `runs` calls."""
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        candidate.call()
        times.append(1e3 * (time.perf_counter() - begin))
    return times


def compare(jit, dtype, head_dim, seq, causal, args):
    """Times one shape; returns milliseconds of ours and of PyTorch, after a check."""
    sizes = (1, seq, args.heads, head_dim)
    generator = torch.Generator().manual_seed(1)
    q, k, v = (torch.randn(sizes, generator=generator).to(DTYPES[dtype]) for _ in range(3))
    o = torch.full_like(q, math.nan)
    problem = Problem(dtype=dtype, head_dim=head_dim, mask="k <= q" if causal else "true")
    kernel = jit.forward(problem, Shape(1, args.heads, seq, seq))
    ours = kernel.prepare(q=torch_tensor(q), k=torch_tensor(k), v=torch_tensor(v),
                          o=torch_tensor(o), max_sms=args.threads)
    q_bhsd, k_bhsd, v_bhsd = (x.transpose(1, 2) for x in (q, k, v))

    def peer():
        return scaled_dot_product_attention(q_bhsd, k_bhsd, v_bhsd, is_causal=causal)

    ours()
    expected = peer().transpose(1, 2).float()
    difference = float((o.float() - expected).norm() / expected.norm())
    if not difference < MOST_DIFFERENCE[dtype]:
        sys.exit(f"{dtype}, head_dim {head_dim}, seq {seq}: differs from PyTorch by {difference}")
    timings = time_interleaved([Candidate("ours", ours), Candidate("peer", peer)], stopwatch,
                               rounds=args.rounds, round_ms=args.round_ms)
    return timings["ours"], timings["peer"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", default="build/lib/libstreamattn.so")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=["f32", "bf16"])
    parser.add_argument("--head-dims", nargs="+", type=int, default=[64, 128])
    parser.add_argument("--seqs", nargs="+", type=int, default=[512, 1024, 2048, 4096])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--round-ms", type=float, default=100)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    jit = Library(args.library).jit(target="cpu")
    print(f"PyTorch {torch.__version__}, {args.threads} threads, {args.heads} heads; ms, GFLOP/s")
    print(f"{'dtype':5} {'dim':>4} {'seq':>5} {'mask':6} {'ours':>9} {'':>6} {'PyTorch':>9} {'':>6}"
          f" {'speed':>6}")
    speeds = []
    for dtype, head_dim, seq, causal in itertools.product(args.dtypes, args.head_dims, args.seqs,
                                                          (False, True)):
        ours, peer = compare(jit, dtype, head_dim, seq, causal, args)
        gflop = 4e-9 * args.heads * seq * seq * head_dim / (2 if causal else 1)
        speeds.append(peer.milliseconds / ours.milliseconds)
        rates = [(t.milliseconds, 1e3 * gflop / t.milliseconds) for t in (ours, peer)]
        print(f"{dtype:5} {head_dim:4} {seq:5} {'causal' if causal else 'full':6}"
              + "".join(f" {ms:9.3f} {rate:6.0f}" for ms, rate in rates)
              + f" {speeds[-1]:6.2f}", flush=True)
    print(f"geometric mean {statistics.geometric_mean(speeds):.2f}, worst {min(speeds):.2f}")


if __name__ == "__main__":
    main()

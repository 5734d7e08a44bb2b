"""Interleaved timing: how several kernels are compared fairly on a card that is never at rest.

The card is power-limited and remembers tens of milliseconds of load: a kernel timed after slow ones
looks faster than it is. So in every round each candidate runs once, long enough to bring the card
into its own state, in orders in which each follows every other one as often; and a figure is the
median over the rounds without the first.
"""

import contextlib
import random
import statistics
from dataclasses import dataclass, field
from typing import Callable, ContextManager

OVERHEAD_MS = 0.08  # of a run beside the call: writing 256 MB


@dataclass
class Candidate:
    """Something to time: `call` enqueues one call; `scope` is entered around many of them."""
    name: str
    call: Callable[[], None]
    scope: Callable[[], ContextManager] = contextlib.nullcontext


@dataclass
class Timing:
    """Milliseconds a call: the figure, the spread between rounds, and the median of every round."""
    milliseconds: float = 0
    spread: float = 0
    rounds: list = field(default_factory=list)


class CudaStopwatch:
    """Event-timed calls, each after 256 MB were written to clear the L2."""

    def __init__(self):
        import torch
        self._torch = torch
        self._flush = torch.empty(256 << 20, device="cuda", dtype=torch.uint8)
        self._events = []

    def __call__(self, candidate, runs):
        """Milliseconds of each of `runs` calls."""
        cuda = self._torch.cuda
        while len(self._events) < runs:
            self._events.append((cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)))
        events = self._events[:runs]
        with candidate.scope():
            for begin, end in events:
                self._flush.zero_()
                begin.record()
                candidate.call()
                end.record()
        cuda.synchronize()
        return [begin.elapsed_time(end) for begin, end in events]


class KernelStopwatch:
    """The time from the start of a call's first kernel to the end of its last, as a profiler sees
    them: events around a call of some microseconds would time the launch. Before each call 256 MB
    are copied, which clears the L2 and tells calls apart."""

    def __init__(self):
        import torch
        from torch.profiler import ProfilerActivity, profile
        self._torch = torch
        self._profile = lambda: profile(activities=[ProfilerActivity.CUDA])
        self._from, self._to = (torch.empty(256 << 20, device="cuda", dtype=torch.uint8)
                                for _ in range(2))

    def __call__(self, candidate, runs):
        """Milliseconds of each of `runs` calls."""
        with self._profile() as profiler, candidate.scope():
            for _ in range(runs):
                self._to.copy_(self._from)
                candidate.call()
            self._torch.cuda.synchronize()
        events = [(event.start_ns(), event.start_ns() + event.duration_ns(), event.name())
                  for event in profiler.profiler.kineto_results.events()
                  if event.device_type() == self._torch.autograd.DeviceType.CUDA]
        return kernel_spans(events)


def kernel_spans(events):
    """Milliseconds of the calls in `events`, (start, end, name) in nanoseconds, of which a copy comes
    before each call: shorter ones are the call's own."""
    copies = [end - begin for begin, end, name in events if name.startswith("Memcpy DtoD")]
    spans = []
    for begin, end, name in sorted(events):
        if name.startswith("Memcpy DtoD") and 2 * (end - begin) >= max(copies):
            spans.append(None)
        elif spans:
            first = begin if spans[-1] is None else spans[-1][0]
            spans[-1] = (first, end)
    return [(end - begin) / 1e6 for begin, end in filter(None, spans)]


def spread(values):
    """Second largest over second smallest, less one; of fewer than four, largest over smallest."""
    ordered = sorted(values)
    drop = 0 if len(ordered) < 4 else 1
    return ordered[-1 - drop] / ordered[drop] - 1


def balanced_orders(count, rounds, seed):
    """An order of range(count) for each round. In every `count` of them, and in twice as many where
    that is odd, each number follows every other one equally often (E. J. Williams, 1949)."""
    zigzag = [n // 2 if n % 2 == 0 else count - 1 - n // 2 for n in range(count)]
    orders = [[(place + shift) % count for place in zigzag] for shift in range(count)]
    if count % 2:
        orders += [order[::-1] for order in orders]
    random.Random(seed).shuffle(orders)
    return [orders[n % len(orders)] for n in range(rounds)]


def time_interleaved(candidates, stopwatch, rounds=9, round_ms=35, seed=1):
    """Times all candidates together; returns a Timing for each name."""
    runs = {}
    for candidate in candidates:
        once = statistics.median(stopwatch(candidate, 3)) + OVERHEAD_MS
        runs[candidate.name] = max(5, min(200, int(round_ms / once)))
    timings = {candidate.name: Timing() for candidate in candidates}
    for order in balanced_orders(len(candidates), rounds, seed):
        for candidate in (candidates[n] for n in order):
            values = stopwatch(candidate, runs[candidate.name])
            timings[candidate.name].rounds.append(statistics.median(values))
    for timing in timings.values():
        kept = timing.rounds[1:] or timing.rounds
        timing.milliseconds, timing.spread = statistics.median(kept), spread(kept)
    return timings

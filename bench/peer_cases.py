"""What is computed in a row of a comparison: a mask and a score, as our expressions and as peers are
told them. Needs neither PyTorch nor a GPU: functions of positions work on numbers and on tensors."""

import math
from dataclasses import dataclass, field
from typing import Callable


class Unserved(Exception):
    """A peer has no way to say this."""


def _all_keys(q, k):
    return (q >= 0) & (k >= 0)


def _keys_before(q, k):
    return k <= q


def _same_score(score, q, k, head, tensors):
    return score


@dataclass(frozen=True)
class Case:
    """A mask and a score. `sees(q, k)` and `change(score, q, k, head, tensors)` say them once more in
    Python; `pairs(q_len, kv_len)` is how many pairs of a query and a key the mask holds, the last
    query being at the last key."""
    name: str
    mask: str
    sees: Callable
    pairs: Callable
    score: str = "score"
    change: Callable = _same_score
    scalars: dict = field(default_factory=dict)
    tensors: dict = field(default_factory=dict)  # by name: (contents, sizes as text)
    fa3: dict | None = None  # arguments of its function, and of FlashAttention-4's; None: cannot say it
    sdpa: Callable | None = None  # from tensors to arguments of PyTorch's; None: cannot say it
    documents: tuple = ()  # lengths of documents side by side, which peers are told by offsets

    def fa3_arguments(self, peer="FlashAttention-3"):
        if self.fa3 is None:
            raise Unserved(f"{peer} has no argument for {self.name}")
        return self.fa3

    def sdpa_arguments(self, tensors):
        if self.sdpa is None:
            raise Unserved(f"scaled_dot_product_attention has no argument for {self.name}")
        return self.sdpa(tensors)

    def sizes(self, name, row):
        """Of a tensor that the case names."""
        return tuple(getattr(row, size) for size in self.tensors[name][1])


def full():
    return Case("full", "true", _all_keys, lambda q_len, kv_len: q_len * kv_len, fa3={},
                sdpa=lambda tensors: {"is_causal": False})


def _causal_pairs(q_len, kv_len):
    """Half of a square, as the field counts; what a query sees of anything else."""
    return q_len * q_len // 2 if q_len == kv_len else q_len * kv_len - q_len * (q_len - 1) // 2


def causal():
    return Case("causal", "k <= q", _keys_before, _causal_pairs, fa3={"causal": True},
                sdpa=lambda tensors: {"is_causal": True})


def _window_pairs(s, window):
    rising = min(s, window)
    return rising * (rising + 1) // 2 + (s - rising) * window


def window(size):
    """The last `size` keys, the query's own among them. Square."""
    return Case(f"window{size}", "k <= q && k > q - window",
                lambda q, k: (k <= q) & (k > q - size),
                lambda q_len, kv_len: _window_pairs(kv_len, size),
                scalars={"window": size}, fa3={"causal": True, "window_size": (size - 1, 0)})


def sinks_and_window(sinks, size):
    """The same and the first `sinks` keys. Square."""
    def pairs(q_len, kv_len):
        behind = max(0, kv_len - size)  # queries with keys in front of their window
        rising = min(behind, sinks)
        return (_window_pairs(kv_len, size) + rising * (rising + 1) // 2 + (behind - rising) * sinks)

    return Case(f"sinks{sinks}+window{size}", "k <= q && (k < sinks || k > q - window)",
                lambda q, k: (k <= q) & ((k < sinks) | (k > q - size)), pairs,
                scalars={"window": size, "sinks": sinks})


def softcap(cap):
    return Case("softcap", "k <= q", _keys_before, causal().pairs, "cap * tanh(score / cap)",
                lambda score, q, k, head, tensors: cap * (score / cap).tanh(),
                scalars={"cap": cap}, fa3={"causal": True, "softcap": float(cap)})


def alibi():
    return Case("alibi", "k <= q", _keys_before, causal().pairs, "score + slope[head] * (k - q)",
                lambda score, q, k, head, tensors: score + tensors["slope"][head] * (k - q),
                tensors={"slope": ("slopes", "h")})


def bias():
    """Added to every score, the same in all batch entries; in the type of Q."""
    return Case("bias", "true", _all_keys, full().pairs, "score + bias:{dtype}[head, q, k]",
                lambda score, q, k, head, tensors: score + tensors["bias"][head, q, k],
                tensors={"bias": ("normal", "hss")},
                sdpa=lambda tensors: {"attn_mask": tensors["bias"][None]})


def documents(*lengths):
    """Causal within each of the documents that follow each other in one sequence. Square."""
    begins = [sum(lengths[:i]) for i in range(1, len(lengths))]

    def document(position):
        return sum(0 + (position >= begin) for begin in begins)

    return Case("documents", "k <= q && doc[q] == doc[k]",
                lambda q, k: (k <= q) & (document(q) == document(k)),
                lambda q_len, kv_len: sum(n * (n + 1) // 2 for n in lengths),
                tensors={"doc": ("documents", "s")}, fa3={"causal": True}, documents=lengths)


_CASES = {case.name: case for case in (
    full(), causal(), softcap(30), alibi(), bias(),
    documents(4096, 512, 2048, 1024, 6144, 2560),
    *(window(size) for size in (64, 128, 1024, 4096)),
    *(sinks_and_window(sinks, size) for sinks, size in ((16, 64), (4, 1024), (4, 4096))))}


def case_of(row):
    return _CASES[row.case or ("causal" if row.causal else "full")]


def slopes(heads):
    """Those of ALiBi."""
    return [2.0 ** (-8 * (head + 1) / heads) for head in range(heads)]


def plain_attention(case, q, k, v, head, tensors):
    """One query's output and log-sum-exp by definition; q is (position, row), k and v are lists of
    rows, all numbers. For tests."""
    position, row = q
    keys = [j for j in range(len(k)) if case.sees(position, j)]
    scores = [case.change(Real(sum(a * b for a, b in zip(row, k[j])) / math.sqrt(len(row))),
                          position, j, head, tensors) for j in keys]
    weights = [math.exp(score) for score in scores]
    total = sum(weights)
    return ([sum(w * v[j][c] for w, j in zip(weights, keys)) / total for c in range(len(v[0]))],
            math.log(total))


class Real(float):
    """A number with the method of a tensor that scores use."""

    def __truediv__(self, other):
        return Real(float(self) / other)

    def tanh(self):
        return Real(math.tanh(self))

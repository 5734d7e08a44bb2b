"""bench/streamattn_library.py and the cases of bench/peers.py against the library, on the CPU target.

    STREAMATTN_LIBRARY=build/lib/libstreamattn.so python3 tests/unit/bench_library_test.py
"""

import ctypes
import math
import os
import random
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

import peer_cases  # noqa: E402
from streamattn_library import (Library, Problem, Shape, StreamattnError, named_tensor,  # noqa: E402
                                tensor)


def random_floats(count, seed):
    draw = random.Random(seed)
    return (ctypes.c_float * count)(*(draw.gauss(0, 1) for _ in range(count)))


def poison(count):
    return (ctypes.c_float * count)(*[math.nan] * count)


class LibraryTest(unittest.TestCase):
    """The structs of streamattn_library.py against the compiled ones, on the CPU target."""

    def setUp(self):
        self.library = Library(os.environ["STREAMATTN_LIBRARY"])

    def test_a_launch_through_ctypes_agrees_with_plain_python(self):
        n, d = 5, 8
        sizes, strides = (1, n, 1, d), (n * d, d, d, 1)
        kernel = self.library.jit(target="cpu").forward(
            Problem(dtype="f32", head_dim=d, mask="k <= q"), Shape(1, 1, n, n))
        q, k, v = (random_floats(n * d, seed) for seed in (1, 2, 3))
        o, lse = poison(n * d), poison(n)

        def view(data):
            return tensor(ctypes.addressof(data), "f32", sizes, strides)

        kernel.launch(q=view(q), k=view(k), v=view(v), o=view(o),
                      lse=tensor(ctypes.addressof(lse), "f32", (1, n, 1, 1), (n, 1, 1, 1)))
        for i in range(n):
            scores = [sum(q[i * d + c] * k[j * d + c] for c in range(d)) / math.sqrt(d)
                      for j in range(i + 1)]
            weights = [math.exp(score) for score in scores]
            self.assertAlmostEqual(lse[i], math.log(sum(weights)), places=5)
            for c in range(d):
                expected = sum(w * v[j * d + c] for j, w in enumerate(weights)) / sum(weights)
                self.assertAlmostEqual(o[i * d + c], expected, places=5)

    def test_scores_sinks_and_named_values_reach_the_kernel(self):
        n, d = 5, 8
        kernel = self.library.jit(target="cpu").forward(
            Problem(dtype="f32", head_dim=d, mask="k <= q && k > q - window",
                    score="score + slope[head] * (k - q)", sink="0.25"), Shape(1, 2, n, n))
        q, k, v = (random_floats(n * 2 * d, seed) for seed in (1, 2, 3))
        o, lse, slope = poison(n * 2 * d), poison(n * 2), (ctypes.c_float * 2)(0.5, 0.125)

        def view(data, width=d):
            return tensor(ctypes.addressof(data), "f32", (1, n, 2, width),
                          (n * 2 * width, 2 * width, width, 1))

        views = {"q": view(q), "k": view(k), "v": view(v), "o": view(o), "lse": view(lse, 1)}
        kernel.launch(**views, scalars={"window": 3}, tensors=[
            named_tensor("slope", ctypes.addressof(slope), "f32", (2,), (1,))])
        for i in range(n):
            for head in range(2):
                total = math.exp(0.25)
                for j in range(max(0, i - 2), i + 1):
                    product = sum(q[(i * 2 + head) * d + c] * k[(j * 2 + head) * d + c]
                                  for c in range(d)) / math.sqrt(d)
                    total += math.exp(product + slope[head] * (j - i))
                self.assertAlmostEqual(lse[i * 2 + head], math.log(total), places=5)
        with self.assertRaisesRegex(StreamattnError, 'scalar "window" is missing'):
            kernel.launch(**views)

    def test_every_case_is_in_our_words_what_it_is_in_python(self):
        n, heads, d = 11, 2, 4
        q, k, v = (random_floats(n * heads * d, seed) for seed in (1, 2, 3))
        bias, slope = random_floats(heads * n * n, 4), (ctypes.c_float * heads)(
            *peer_cases.slopes(heads))
        doc = (ctypes.c_int32 * n)(*[0] * 5 + [1] * 2 + [2] * 4)
        memory = {"bias": (bias, (heads, n, n), (n * n, n, 1), "f32"),
                  "slope": (slope, (heads,), (1,), "f32"), "doc": (doc, (n,), (1,), "i32")}

        class Bias:
            def __getitem__(self, index):
                head, i, j = index
                return bias[(head * n + i) * n + j]

        def view(data, width=d):
            return tensor(ctypes.addressof(data), "f32", (1, n, heads, width),
                          (n * heads * width, heads * width, width, 1))

        def row(data, i, head):
            return data[(i * heads + head) * d:(i * heads + head + 1) * d]

        jit = self.library.jit(target="cpu")
        for case in (peer_cases.full(), peer_cases.causal(), peer_cases.window(3),
                     peer_cases.sinks_and_window(2, 4), peer_cases.softcap(0.5),
                     peer_cases.alibi(), peer_cases.bias(), peer_cases.documents(5, 2, 4)):
            kernel = jit.forward(Problem(dtype="f32", head_dim=d, mask=case.mask,
                                         score=case.score.format(dtype="f32")),
                                 Shape(1, heads, n, n))
            o, lse = poison(n * heads * d), poison(n * heads)
            kernel.launch(q=view(q), k=view(k), v=view(v), o=view(o), lse=view(lse, 1),
                          scalars=case.scalars,
                          tensors=[named_tensor(name, ctypes.addressof(data), dtype, *layout)
                                   for name in case.tensors
                                   for data, *layout, dtype in [memory[name]]])
            for i in range(n):
                for head in range(heads):
                    expected, log_sum = peer_cases.plain_attention(
                        case, (i, row(q, i, head)), [row(k, j, head) for j in range(n)],
                        [row(v, j, head) for j in range(n)], head, {"bias": Bias(), "slope": slope})
                    self.assertAlmostEqual(lse[i * heads + head], log_sum, 5, case.name)
                    for found, right in zip(row(o, i, head), expected):
                        self.assertAlmostEqual(found, right, 5, case.name)

    def test_gradients_through_ctypes_are_slopes_of_the_forward_pass(self):
        n, d, step = 5, 8, 1e-2
        problem, shape = Problem(dtype="f32", head_dim=d, mask="k <= q"), Shape(1, 1, n, n)
        jit = self.library.jit(target="cpu")
        forward, backward = jit.forward(problem, shape), jit.backward(problem, shape)
        inputs = {name: random_floats(n * d, seed) for seed, name in enumerate("qkv")}
        d_o, lse = random_floats(n * d, 4), poison(n)

        def view(data, width=d):
            return tensor(ctypes.addressof(data), "f32", (1, n, 1, width), (n * width, width, width, 1))

        def attend():
            o = poison(n * d)
            forward.launch(**{name: view(x) for name, x in inputs.items()}, o=view(o),
                           lse=view(lse, 1))
            return o

        o = attend()
        gradients = {f"d_{name}": poison(n * d) for name in "qkv"}
        memory = []

        def allocate(size):
            memory.append((ctypes.c_char * (size + 256))())
            return (ctypes.addressof(memory[-1]) + 255) // 256 * 256

        backward.launch(**{name: view(x) for name, x in {**inputs, "o": o, "d_o": d_o}.items()},
                        lse=view(lse, 1), allocate=allocate,
                        **{name: view(x) for name, x in gradients.items()})
        for name, x in inputs.items():
            for i in range(0, n * d, 3):
                sides = []
                for sign in (1, -1):
                    x[i] += sign * step
                    sides.append(sum(a * b for a, b in zip(attend(), d_o)))
                    x[i] -= sign * step
                slope = (sides[0] - sides[1]) / (2 * step)
                self.assertAlmostEqual(gradients[f"d_{name}"][i], slope, delta=2e-3, msg=(name, i))

    def test_failures_carry_the_name_of_the_status(self):
        with self.assertRaisesRegex(StreamattnError, "^invalid_problem: "):
            self.library.jit(target="cpu").forward(Problem(mask="q < "), Shape(1, 1, 1, 1))

    def test_pins_decide_and_explain_themselves(self):
        pins = ('[[schedule]]\ntarget = "cpu"\nwhen = { head_dim = 128 }\n'
                'use = { family = "cpu_tiled", tile_q = 32, tile_kv = 48 }\n')
        kernel = self.library.jit(target="cpu", pins=pins).forward(Problem(), Shape(1, 1, 9, 9))
        self.assertIn("row pins:", kernel.describe())
        self.assertIn("tile_kv 48", kernel.describe())

    def test_a_strided_head_dim_is_refused(self):
        with self.assertRaises(ValueError):
            tensor(0, "f32", (1, 2, 3, 4), (24, 12, 4, 2))


if __name__ == "__main__":
    unittest.main()

"""The parts of bench/ that need neither PyTorch nor a GPU.

    python3 tests/unit/bench_peers_test.py
"""

import csv
import io
import json
import random
import sys
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))

import peer_cases  # noqa: E402
import peer_report  # noqa: E402
from peer_cases import Unserved, case_of  # noqa: E402
from peer_report import Result, Row, RowReport  # noqa: E402
from rounds import Candidate, balanced_orders, kernel_spans, spread, time_interleaved  # noqa: E402


class FakeStopwatch:
    """Calls of a candidate take `milliseconds[name](n)` in its n-th timing."""

    def __init__(self, milliseconds):
        self.milliseconds, self.diary = milliseconds, []

    def __call__(self, candidate, runs):
        timing = sum(1 for name, _ in self.diary if name == candidate.name)
        self.diary.append((candidate.name, runs))
        return [self.milliseconds[candidate.name](timing)] * runs


class RoundsTest(unittest.TestCase):
    def candidates(self, *names):
        return [Candidate(name, lambda: None) for name in names]

    def test_every_candidate_runs_once_a_round_in_changing_order(self):
        stopwatch = FakeStopwatch({name: lambda _: 1.0 for name in "abc"})
        time_interleaved(self.candidates(*"abc"), stopwatch, rounds=6)
        names = [name for name, _ in stopwatch.diary][3:]
        rounds = [tuple(names[i:i + 3]) for i in range(0, 18, 3)]
        self.assertTrue(all(sorted(order) == list("abc") for order in rounds))
        self.assertGreater(len(set(rounds)), 1)

    def test_everybody_follows_everybody_else_equally_often(self):
        for count in range(1, 8):
            rounds = count * (1 + count % 2)
            pairs = {(first, second): 0 for first in range(count) for second in range(count)
                     if first != second}
            for order in balanced_orders(count, rounds, seed=3):
                for pair in zip(order, order[1:]):
                    pairs[pair] += 1
            self.assertLessEqual(len(set(pairs.values())), 1)
            self.assertEqual(sum(pairs.values()), rounds * (count - 1))

    def test_the_figure_is_the_median_without_the_first_round(self):
        medians = [9.0, 50.0, 4.0, 2.0, 3.0]
        stopwatch = FakeStopwatch({"a": lambda n: medians[n]})
        timing = time_interleaved(self.candidates("a"), stopwatch, rounds=4)["a"]
        self.assertEqual(timing.milliseconds, 3)
        self.assertEqual(timing.spread, 1)
        self.assertEqual(timing.rounds, [50, 4, 2, 3])

    def test_rounds_are_filled_within_limits(self):
        for milliseconds, runs in ((0.92, 35), (100, 5), (0.01, 200)):
            stopwatch = FakeStopwatch({"a": lambda _: milliseconds})
            time_interleaved(self.candidates("a"), stopwatch, rounds=1)
            self.assertEqual(stopwatch.diary[-1], ("a", runs))

    def test_kernel_time_is_from_the_first_kernel_to_the_last_of_a_call(self):
        events = [(0, 90, "Memcpy DtoD (Device -> Device)"), (100, 300, "main"), (310, 400, "merge"),
                  (500, 600, "Memcpy DtoD (Device -> Device)"), (700, 900, "main"),
                  (950, 1040, "Memcpy DtoD (Device -> Device)")]
        shuffled = random.Random(1).sample(events, len(events))
        self.assertEqual(kernel_spans(shuffled), [300 / 1e6, 200 / 1e6])

    def test_a_copy_that_is_the_calls_own_counts_as_its_kernels_do(self):
        events = [(0, 90, "Memcpy DtoD (Device -> Device)"), (100, 300, "main"),
                  (310, 340, "Memcpy DtoD (Device -> Device)")]
        self.assertEqual(kernel_spans(events), [240 / 1e6])

    def test_the_spread_leaves_out_extremes(self):
        self.assertEqual(spread([1, 2, 2.5, 100]), 0.25)
        self.assertEqual(spread([2, 3]), 0.5)


def report(s, ours, cudnn, failure=""):
    row = Row(128, True, s, peer_report.TOKENS // s, 16)
    return RowReport(row, [Result("cudnn", False, tflops=cudnn, label="cudnn_kernel"),
                           Result("ours", True, tflops=ours, failure=failure, rounds=[1.0, 2.0])],
                     plain_error=0.002, best=600.0, cudnn_of_file=480.0)


class ReportTest(unittest.TestCase):
    def test_the_suite_is_36_rows_of_the_same_size(self):
        rows = peer_report.forward_rows()
        self.assertEqual(len(set(rows)), 36)
        for row in rows:
            self.assertEqual((row.b * row.s, row.h * row.d), (16384, 2048))

    def test_causal_rows_count_half_the_operations(self):
        full, causal = Row(64, False, 1024, 2, 4), Row(64, True, 1024, 2, 4)
        self.assertEqual(full.flops, 4 * 2 * 4 * 1024 * 1024 * 64)
        self.assertEqual(causal.flops * 2, full.flops)

    def test_rows_of_a_cache_say_their_keys_and_heads(self):
        row = Row(128, False, 1, 2, 64, kv_heads=8, kv_len=2048)
        self.assertEqual((row.keys, row.group_size, row.heads, row.length),
                         (2048, 8, "64/8", "1 x 2048"))
        self.assertTrue(row.is_decode)
        self.assertFalse(Row(128, False, 1, 1, 8).is_decode)
        for suite in peer_report.SUITES.values():
            self.assertEqual(len(set(suite())), len(suite()))

    def test_backward_rows_count_two_and_a_half_times_the_forward_pass(self):
        rows = peer_report.backward_rows()
        self.assertEqual(len(rows), 12)
        for row in rows + peer_report.backward_shape_rows():
            self.assertEqual(row.flops * 2, replace(row, backward=False).flops * 5)
            self.assertEqual(row.b * row.s, 16384)

    def test_rows_of_two_head_dims_count_their_mean(self):
        row = Row(192, True, 4096, 4, 16, value_d=128)
        self.assertEqual(row.flops, Row(160, True, 4096, 4, 16).flops)
        self.assertEqual((row.dims, row.group), ("192/128", "d192/128 causal"))

    def test_the_fastest_peer_is_the_one_that_leaves_us_least(self):
        measured = mask_report("window64", 4096, ours=300.0, fa3=200.0, flex=400.0, fa2=0)
        self.assertEqual(measured.to_fastest("ours"), 0.75)
        self.assertIsNone(mask_report("window64", 4096, ours=300.0, fa3=0).to_fastest("ours"))

    def test_decode_rows_show_microseconds(self):
        row = Row(128, False, 1, 1, 8, kv_heads=8, kv_len=4096)
        measured = RowReport(row, [Result("ours", True, tflops=row.flops / (10e-6 * 1e12)),
                                   Result("fa3", False, tflops=row.flops / (20e-6 * 1e12))])
        self.assertAlmostEqual(measured.figure("ours"), 10)
        self.assertAlmostEqual(measured.to_peer("ours", "fa3"), 2)

    def test_filters_choose_rows(self):
        rows = peer_report.forward_rows()
        self.assertEqual(len(peer_report.select(rows, [])), 36)
        self.assertEqual(len(peer_report.select(rows, ["d=128,causal=1"])), 6)
        self.assertEqual(len(peer_report.select(rows, ["d=64,s=512", "d=256,s=512,causal=0"])), 3)

    def test_the_ratio_to_the_best_goes_through_cudnn(self):
        measured = report(4096, ours=660.0, cudnn=550.0)
        self.assertAlmostEqual(measured.to_cudnn("ours"), 1.2)
        self.assertAlmostEqual(measured.to_best("ours"), 1.2 * 480 / 600)

    def test_a_failure_has_no_ratio(self):
        self.assertIsNone(report(4096, 660.0, 550.0, "wrong").to_cudnn("ours"))

    def test_the_summary_has_means_the_lowest_row_and_failures(self):
        text = peer_report.summary([report(1024, 200.0, 400.0), report(2048, 800.0, 400.0),
                                    report(4096, 0, 400.0, "no luck")])
        self.assertIn("ours / cudnn, measured now:", text)
        self.assertIn("all          1.000  (2 rows), lowest 0.500 (d128 causal, seq 1024)", text)
        self.assertIn("ours / best of the baseline:", text)
        self.assertIn("d128 causal, seq 4096: ours: no luck", text)

    def test_the_table_has_a_line_for_every_row(self):
        lines = peer_report.table([report(1024, 200.0, 400.0), report(4096, 0, 400.0, "x")])
        lines = [line.split() for line in lines.splitlines()]
        self.assertEqual(lines[0][-4:], ["cudnn", "ours", "ours/cudnn", "ours/best"])
        self.assertEqual(lines[1][-4:], ["400.0", "200.0", "0.500", "0.400"])
        self.assertEqual(lines[2][-4:], ["400.0", "-", "-", "-"])

    def test_files_hold_every_candidate(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "out"
            peer_report.write_json(path, {"device": "d"}, [report(1024, 200.0, 400.0)])
            data = json.loads(path.read_text())
            self.assertEqual(data["rows"][0]["results"][1]["rounds"], [1.0, 2.0])
            self.assertEqual(data["rows"][0]["ratios"]["ours"]["cudnn"], 0.5)
            peer_report.write_csv(path, [report(1024, 200.0, 400.0)])
            rows = list(csv.DictReader(io.StringIO(path.read_text())))
            self.assertEqual([row["candidate"] for row in rows], ["cudnn", "ours"])

    def test_a_baseline_is_read_by_row(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "baseline.json"
            path.write_text(json.dumps({"fwd": [{"d": 64, "causal": True, "s": 512, "b": 32,
                                                 "h": 32, "cudnn": 1.5, "best": 2.5}],
                                        "bwd": [{"d": 64, "causal": True, "s": 512, "b": 32,
                                                 "h": 32, "cudnn": 3.5, "best": 4.5}]}))
            rows = peer_report.load_baseline(path)
            self.assertEqual(rows[Row(64, True, 512, 32, 32)], (1.5, 2.5))
            self.assertEqual(rows[Row(64, True, 512, 32, 32, backward=True)], (3.5, 4.5))

    def test_the_baseline_has_every_row_of_its_suites(self):
        rows = peer_report.load_baseline(BENCH / "baselines" / "h200.json")
        self.assertEqual(set(rows), set(peer_report.forward_rows() + peer_report.backward_rows()))


def mask_report(case, s, **tflops):
    row = Row(128, True, s, 1, 16, case)
    return RowReport(row, [Result(name, name == "ours", tflops=figure,
                                  failure="" if figure else "cannot say it")
                           for name, figure in tflops.items()])


class MaskSuiteTest(unittest.TestCase):
    def test_every_row_has_a_case_and_says_whether_it_is_causal(self):
        rows = peer_report.mask_rows()
        self.assertEqual(len(set(rows)), len(rows))
        for row in rows:
            self.assertEqual(row.causal, not case_of(row).sees(0, 1))
            self.assertEqual(row.h * row.d, 2048)
        self.assertLess({"softcap", "alibi", "bias", "window1024", "sinks4+window1024"},
                        {row.case for row in rows})

    def test_rows_without_a_case_are_plain_or_causal(self):
        self.assertEqual(case_of(Row(64, False, 512, 32, 32)).name, "full")
        self.assertEqual(case_of(Row(64, True, 512, 32, 32)).name, "causal")

    def test_pairs_are_those_that_the_mask_holds(self):
        for case in (peer_cases.full(), peer_cases.bias(), peer_cases.window(1),
                     peer_cases.window(7), peer_cases.window(50),
                     peer_cases.sinks_and_window(3, 7), peer_cases.sinks_and_window(50, 4),
                     peer_cases.sinks_and_window(0, 9)):
            self.assert_pairs_are_held(case, (1, 5, 20, 40))
        self.assert_pairs_are_held(peer_cases.documents(7, 1, 12), (20,))

    def assert_pairs_are_held(self, case, lengths):
        for s in lengths:
            held = sum(bool(case.sees(q, k)) for q in range(s) for k in range(s))
            self.assertEqual(case.pairs(s, s), held, (case.name, s))

    def test_queries_behind_a_cache_see_what_is_in_front_of_them(self):
        held = sum(k <= q + 20 - 6 for q in range(6) for k in range(20))
        self.assertEqual(peer_cases.causal().pairs(6, 20), held)
        self.assertEqual(peer_cases.full().pairs(6, 20), 120)

    def test_flops_count_the_pairs(self):
        row = Row(128, True, 4096, 2, 16, "window64")
        self.assertEqual(row.flops, 4 * 2 * 16 * 128 * case_of(row).pairs(4096, 4096))

    def test_windows_and_caps_reach_flash_attention_3_and_the_rest_does_not(self):
        self.assertEqual(peer_cases.window(1024).fa3_arguments(),
                         {"causal": True, "window_size": (1023, 0)})
        self.assertEqual(peer_cases.softcap(30).fa3_arguments(), {"causal": True, "softcap": 30.0})
        for case in (peer_cases.sinks_and_window(4, 64), peer_cases.alibi(), peer_cases.bias()):
            with self.assertRaises(Unserved) as raised:
                case.fa3_arguments()
            self.assertEqual(str(raised.exception),
                             f"FlashAttention-3 has no argument for {case.name}")
        with self.assertRaisesRegex(Unserved, "^FlashAttention-4 has no argument for alibi$"):
            peer_cases.alibi().fa3_arguments("FlashAttention-4")

    def test_pytorch_takes_a_bias_and_no_window(self):
        self.assertEqual(peer_cases.bias().sdpa_arguments({"bias": {None: "b"}}),
                         {"attn_mask": "b"})
        self.assertEqual(peer_cases.causal().sdpa_arguments({}), {"is_causal": True})
        for case in (peer_cases.window(4), peer_cases.softcap(30), peer_cases.alibi()):
            with self.assertRaises(Unserved):
                case.sdpa_arguments({})

    def test_filters_choose_cases(self):
        rows = peer_report.mask_rows()
        self.assertEqual([row.s for row in peer_report.select(rows, ["case=window64"])],
                         [4096, 16384, 65536])
        self.assertEqual(len(peer_report.select(rows, ["case=softcap,s=4096", "case=bias"])), 2)

    def test_the_table_has_a_ratio_to_every_peer(self):
        reports = [mask_report("window64", 4096, ours=300.0, fa3=200.0, flex=100.0),
                   mask_report("alibi", 4096, ours=300.0, fa3=0, flex=150.0)]
        lines = [line.split() for line in peer_report.table(reports).splitlines()]
        self.assertEqual(lines[0][-3:], ["ours/fa3", "ours/flex", "ours/fastest"])
        self.assertEqual(lines[1][1], "window64")
        self.assertEqual(lines[1][-3:], ["1.500", "3.000", "1.500"])
        self.assertEqual(lines[2][-3:], ["-", "2.000", "2.000"])
        text = peer_report.summary(reports)
        self.assertIn("ours / flex, measured now:\n  d128 window64 3.000  (1 rows)", text)
        self.assertIn("d128 alibi, seq 4096: fa3: cannot say it", text)

    def test_files_have_the_case_and_the_ratios(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "out"
            reports = [mask_report("window64", 4096, ours=300.0, flex=100.0)]
            peer_report.write_json(path, {}, reports)
            row = json.loads(path.read_text())["rows"][0]
            self.assertEqual(row["row"]["case"], "window64")
            self.assertEqual(row["ratios"], {"ours": {"flex": 3.0}})
            peer_report.write_csv(path, reports)
            rows = list(csv.DictReader(io.StringIO(path.read_text())))
            self.assertEqual([row["mask"] for row in rows], ["window64"] * 2)


if __name__ == "__main__":
    unittest.main()

"""Checks the common ground itself. Run: python -m unittest (in this folder, ARTERIAL_DATA as for the Rust tests)."""
import os
import pathlib
import tempfile
import unittest

from check import verdicts
from graph import Graph
from run import EXTRACTS
from score import Arterial, Fmm, Lines, mismatch, part, right_segment
from trips import SEED, Trip, make_trips, noisy, write_fixes

DATA = pathlib.Path(os.environ.get("ARTERIAL_DATA", pathlib.Path(__file__).parents[3] / "shared" / "data"))


def straight(*path):
    return Trip("t000", list(path), [(0, 0, 10.0, 0.0, 0.0, 1.0, 0.0), (10, 1, 5.0, 0.0, 0.0, 1.0, 0.0)])


class Measure(unittest.TestCase):
    """Truth: 10 to 100 m of stretch 1, then 0 to 50 m of stretch 2: 140 m."""

    trip = straight((1, 10.0, 100.0), (2, 0.0, 50.0))

    def check(self, paths, want):
        found = mismatch([self.trip], [("t000r0", p) for p in paths])
        self.assertAlmostEqual(found["mismatch"], want, places=4)

    def test_a_perfect_path_has_none(self):
        self.check([{1: 90.0}, {2: 50.0}], 0.0)

    def test_nothing_found_is_all_missed(self):
        self.check([], 1.0)

    def test_a_detour_is_missed_and_added(self):
        self.check([{1: 90.0}, {3: 70.0}], (50 + 70) / 140)

    def test_to_and_fro_is_added(self):
        self.check([{1: 90.0}, {2: 50.0}, {4: 20.0}, {2: 20.0}], 40 / 140)

    def test_what_lies_on_no_stretch_is_added(self):
        self.check([{1: 90.0}, {None: 14.0}, {2: 50.0}], 14 / 140)

    def test_a_fix_is_exact_near_wrong_or_unmatched(self):
        def share(*found):
            return right_segment([self.trip], [("t000r0", 1000 * t, s) for t, s in found], 1)
        self.assertEqual(share((0, 1), (10, 2))["exact"], 1.0)
        self.assertEqual(share((0, 2), (10, 2)) | {"fixes": 0},
                         {"fixes": 0, "exact": 0.5, "near": 1.0, "unmatched": 0.0})
        self.assertEqual(share((0, 7))["unmatched"], 0.5)
        self.assertEqual(share((0, 7))["near"], 0.0)

    def test_a_part_of_a_line_is_shared_out(self):
        laid = [(0.0, 10.0, 1, 0.0), (10.0, 30.0, 2, 0.0)]
        self.assertEqual(part(laid, 5.0, 20.0), {1: 5.0, 2: 10.0})


class Limits(unittest.TestCase):
    """A run in which all limits are just held, then one number a time made a little worse."""

    def cells(self, seconds=0.1, mismatch=0.03, exact=0.80):
        made = {}
        for noise in ("independent", "drift"):
            for sigma_m in (5, 10, 20):
                for every_s in (1, 10, 30):
                    own = {"city": "c", "cpu_s": [seconds], "mismatch": mismatch, "exact": exact}
                    peers = {"meili": own | {"cpu_s": [4.0], "mismatch": 0.03, "exact": 0.82},
                             "fmm": own | {"cpu_s": [2.0]}}
                    made["c", noise, sigma_m, every_s] = peers | {"arterial": own}
        return made

    def failed(self, cells):
        report = {"start_cpu_s": {"c": {"meili": 1.0, "fmm": 1.0}}}
        return [what for what, is_held, _ in verdicts(report, cells) if not is_held]

    def test_a_run_on_the_limits_holds_them(self):
        self.assertEqual(self.failed(self.cells(exact=0.8001)), [])

    def test_each_limit_can_fail(self):
        self.assertEqual(len(self.failed(self.cells(seconds=0.101))), 1)        # 29.7 times Meili
        self.assertEqual(len(self.failed(self.cells(seconds=0.2))), 3)
        self.assertEqual(len(self.failed(self.cells(exact=0.79))), 1)
        self.assertEqual(len(self.failed(self.cells(mismatch=0.04))), 1)        # within 0.02, yet in no cell as good
        self.assertEqual(len(self.failed(self.cells(mismatch=0.06))), 2)

    def test_two_worse_cells_are_forgiven_not_three(self):
        cells = self.cells(exact=0.82)
        for n, key in enumerate(sorted(cells)[:3], 1):
            cells[key]["arterial"] = cells[key]["arterial"] | {"mismatch": 0.04}
            self.assertEqual(len(self.failed(cells)), int(n == 3))

    def test_a_cell_that_is_missing_is_no_success(self):
        cells = self.cells(exact=0.82)
        del cells["c", "drift", 5, 30]
        self.assertEqual(len(self.failed(cells)), 1)


@unittest.skipUnless(DATA.exists(), "skipped: the folder of recordings is absent (ARTERIAL_DATA)")
class OnAnExtract(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print(f"seed {SEED}")
        cls.graph = Graph(str(DATA / EXTRACTS["helsinki"]))
        cls.trips = make_trips(cls.graph, 5)

    def test_trips_are_driven_without_a_gap_or_a_turn(self):
        for trip in self.trips:
            for (a, _, _), (b, _, _) in zip(trip.path, trip.path[1:]):
                self.assertIn(b, self.graph.onward(a))
            for (_, k, m, *_), (_, l, n, *_) in zip(trip.rows, trip.rows[1:]):
                self.assertTrue(l > k or (l == k and n >= m))

    def test_rows_lie_on_the_path_and_move_like_a_car(self):
        for trip in self.trips:
            for a, b in zip(trip.rows, trip.rows[1:]):
                way = sum(e - s for _, s, e in trip.path[a[1]:b[1] + 1])
                way -= a[2] - trip.path[a[1]][1] + trip.path[b[1]][2] - b[2]
                self.assertTrue(-0.5 <= way < 40.0, way)

    def test_the_same_seed_gives_the_same_fixes(self):
        with tempfile.TemporaryDirectory() as folder:
            files = [pathlib.Path(folder) / name for name in "ab"]
            for file in files:
                write_fixes(file, make_trips(self.graph, 5), 10, 10, "drift")
            self.assertEqual(files[0].read_text(), files[1].read_text())

    def test_noise_has_its_size_and_drift_its_memory(self):
        for model, least, most in (("independent", -0.1, 0.1), ("drift", 0.8, 0.95)):
            off = []
            for trip in self.trips:
                for again in range(8):
                    fixes = noisy(trip, 10, 1, model, again)
                    off.append([(f[2] - r[4]) * 111_195 for f, r in zip(fixes, trip.rows)])
            every = [m for run in off for m in run]
            spread = (sum(m * m for m in every) / len(every)) ** 0.5
            alike = sum(a * b for run in off for a, b in zip(run, run[1:])) / sum(m * m for m in every)
            self.assertTrue(8.0 < spread < 12.0, spread)
            self.assertTrue(least < alike < most, alike)

    def test_truth_in_every_matchers_own_form_scores_zero(self):
        lines = Lines(self.graph)
        names = {}
        reader = Arterial(lines)
        for (way, name), (line, direction, _, parts) in reader.texts.items():
            if parts == 1:
                names[tuple(line if direction == "forward" else line[::-1])] = f"{name},{way}"
        with tempfile.TemporaryDirectory() as folder:
            ours, fmm = pathlib.Path(folder) / "ours.csv", pathlib.Path(folder) / "fmm.csv"
            with open(ours, "w") as a, open(fmm, "w") as f:
                a.write("id,segment,source_id,enter_ms,leave_ms,distance_m,confidence\n")
                for trip in self.trips:
                    for stretch, begin, end in trip.path:
                        name = names[tuple(self.graph.stretches[stretch].lonlats)]
                        a.write(f"{trip.name}r0,{name},0,0,{end - begin},1\n")
                        f.write(f"{trip.name}r0,{stretch},{begin},{end}\n")
            for table, form in ((ours, reader), (fmm, Fmm())):
                self.assertLess(mismatch(self.trips, form.paths(table))["mismatch"], 1e-3)

    def test_a_line_cut_anywhere_lies_on_its_stretch(self):
        lines = Lines(self.graph)
        for s in self.graph.stretches[:200]:
            off_by_rounding = [(x + 9e-7, y) for x, y in s.lonlats]
            on = part(lines.lay(off_by_rounding), 0.0, s.length_m + 1)
            self.assertIn(s.index, on)


if __name__ == "__main__":
    unittest.main()

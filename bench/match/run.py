"""The run: makes the fixes, times every matcher as a process, scores what it wrote, keeps every raw number.

usage: run.py --arterial BINARY --data DIR --work DIR --out JSON [--cities …] [--matchers …] [--every …] [--repeats N]

Matchers take turns (one repeat of each, then the next repeat), on one core, so that a busy minute of the machine
harms all of them. Time is user plus system time of the whole process. With fewer matchers than all, rows of the
others stay in the JSON as they are: for trying things out, not for what is published.
"""
import argparse
import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

from graph import Graph
from score import Arterial, Fmm, Lines, Meili, mismatch, right_segment
from trips import SEED, make_trips, write_fixes

HERE = pathlib.Path(__file__).parent
BIN = pathlib.Path(sys.executable).parent
EXTRACTS = {"athens": "athens-pneuma/athens_centre.osm.pbf", "helsinki": "helsinki-hfp/helsinki_centre.osm.pbf"}
MATCHERS = ("meili", "fmm", "arterial", "arterial-bare")
MODELS, SIGMAS_M, EVERY_S = ("independent", "drift"), (5, 10, 20), (1, 10, 30)
TRIPS = 150
# Draws of the noise in one file.
TIMES = {1: 1, 10: 2, 30: 3}
# Cells whose rate a limit of the issue speaks of (sigma_m, every_s), and their draws: files of at least 100 thousand
# fixes, so that a rate is not that of starting up; three times as many where we need a tenth of a second for them.
# They are repeated; the rates of the other cells are of one run, that of 20 m every second among them: Meili takes
# half a minute there, and the limit is far away.
REPEATED = {(10, 10): 10, (5, 1): 3, (10, 1): 1}
FULL = "id=id,time=time_ms:ms,lon=lon,lat=lat,speed=speed_mps:mps,heading=heading_deg"
BARE = "id=id,time=time_ms:ms,lon=lon,lat=lat"


class City:
    """Everything that is made once for an extract."""

    def __init__(self, name, args):
        self.name, self.dir, self.arterial = name, pathlib.Path(args.work) / name, args.arterial
        self.dir.mkdir(parents=True, exist_ok=True)
        extract = pathlib.Path(args.data) / EXTRACTS[name]
        self.graph = Graph(str(extract))
        self.trips = make_trips(self.graph, TRIPS)
        lines = Lines(self.graph)
        self.config, self.edges, self.net = (str(self.dir / f) for f in ("valhalla.json", "edges.csv", "city.net"))
        if "meili" in args.matchers:
            with open(self.config, "w") as out:
                subprocess.run([BIN / "valhalla_build_config", "--mjolnir-tile-dir", str(self.dir / "tiles"),
                                "--mjolnir-concurrency", "1"], stdout=out, check=True)
            quiet([str(BIN / "valhalla_build_tiles"), "-c", self.config, str(extract)])
        self.readers = {"fmm": Fmm()}
        if "meili" in args.matchers:
            self.readers["meili"] = Meili(lines, self.config)
        with open(self.edges, "w") as out:
            for s in self.graph.stretches:
                line = ";".join(f"{x:.7f} {y:.7f}" for x, y in s.lonlats)
                out.write(f"{s.index},{s.refs[0]},{s.refs[-1]},{line}\n")
        if any(m.startswith("arterial") for m in args.matchers):
            quiet([args.arterial, "network", "import", str(extract), "--out", self.net])
            self.readers["arterial"] = self.readers["arterial-bare"] = Arterial(lines)

    def command(self, matcher, fixes, sigma_m, what, out):
        python = sys.executable
        if matcher == "meili":
            return [python, HERE / "meili.py", self.config, fixes, sigma_m, what, out]
        if matcher == "fmm":
            return [python, HERE / "fmm.py", self.edges, self.dir / "ubodt", fixes, sigma_m, what, out]
        return [self.arterial, "match", fixes, "--format", "csv", "--columns",
                BARE if matcher == "arterial-bare" else FULL, "--network", self.net, "--sigma-m", sigma_m,
                "--out", out] + (["--fixes"] if what == "fixes" else [])


def quiet(command):
    # pyvalhalla's commands look for their programs in PATH.
    env = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=env)
    if done.returncode:
        raise SystemExit(f"{command[0]} ended with {done.returncode}:\n{done.stderr[-2000:]}")


def cpu_s(command, core, log):
    """User and system seconds of a whole process."""
    with open(log, "w") as err:
        child = subprocess.Popen(["taskset", "-c", str(core)] + [str(part) for part in command], stdout=err, stderr=err)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {child.returncode}; see {log}")
    return used.ru_utime + used.ru_stime


def run_cell(city, model, sigma_m, every_s, args):
    fixes = city.dir / "fixes.csv"
    times = REPEATED.get((sigma_m, every_s), args.times or TIMES[every_s])
    count = write_fixes(fixes, city.trips, sigma_m, every_s, model, times)
    seconds, rows = {}, []
    for _ in range(args.repeats if (sigma_m, every_s) in REPEATED else 1):
        for matcher in args.matchers:
            command = city.command(matcher, fixes, sigma_m, "path", city.dir / f"{matcher}-path.csv")
            used = cpu_s(command, args.core, city.dir / f"{matcher}.log")
            seconds.setdefault(matcher, []).append(round(used, 4))
    for matcher in args.matchers:
        table = city.dir / f"{matcher}-fixes.csv"
        used = cpu_s(city.command(matcher, fixes, sigma_m, "fixes", table), args.core, city.dir / f"{matcher}.log")
        reader = city.readers[matcher]
        row = {"city": city.name, "noise": model, "sigma_m": sigma_m, "every_s": every_s, "matcher": matcher,
               "cpu_s": seconds[matcher], "fixes_mode_cpu_s": round(used, 4),
               "points_per_cpu_s": round(count / statistics.median(seconds[matcher]))}
        row |= mismatch(city.trips, reader.paths(city.dir / f"{matcher}-path.csv"), times)
        row |= right_segment(city.trips, reader.fixes(table), every_s, times)
        print(json.dumps(row), flush=True)
        rows.append(row)
    return rows


def start_cost(city, args):
    """Seconds of a process with a handful of fixes: starting up and loading the network."""
    fixes = city.dir / "start.csv"
    write_fixes(fixes, city.trips[:1], 10, 30, "independent")
    out = {}
    for matcher in args.matchers:
        for _ in range(2):      # the first one fills caches, FMM's table among them
            runs = [cpu_s(city.command(matcher, fixes, 10, "path", city.dir / "start-out.csv"), args.core,
                          city.dir / f"{matcher}.log") for _ in range(3)]
        out[matcher] = round(statistics.median(runs), 4)
    return out


def machine(args):
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    version = subprocess.run([args.arterial, "--version"], capture_output=True, text=True).stdout.strip()
    return {"cpu": cpu, "cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version(),
            "arterial": version, "arterial_commit": args.commit, "load_1min": os.getloadavg()[0],
            "packages": {p: importlib.metadata.version(p) for p in ("pyvalhalla", "fastmm", "osmium", "numpy")}}


def main():
    parser = argparse.ArgumentParser()
    for name in ("arterial", "data", "work", "out"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--cities", type=lambda t: t.split(","), default=list(EXTRACTS))
    parser.add_argument("--matchers", type=lambda t: t.split(","), default=list(MATCHERS))
    parser.add_argument("--every", type=lambda t: [int(n) for n in t.split(",")], default=list(EVERY_S))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--times", type=int, help="draws of the noise a file, where the usual number is not part of a limit")
    parser.add_argument("--resume", action="store_true", help="leave out cells that the JSON has for every matcher")
    parser.add_argument("--core", type=int, default=os.cpu_count() - 1)
    parser.add_argument("--commit", default="unknown", help="of the binary")
    args = parser.parse_args()
    print(f"seed {SEED}", flush=True)
    out = pathlib.Path(args.out)
    kept = json.loads(out.read_text()) if out.exists() else {"cells": [], "extracts": {}, "start_cpu_s": {}}
    report = kept | {"date": datetime.date.today().isoformat(), "seed": SEED, "machine": machine(args),
                     "command": "run.py " + " ".join(public(a) for a in sys.argv[1:])}
    for name in args.cities:
        city = City(name, args)
        metres = sum(b - a for trip in city.trips for _, a, b in trip.path)
        report["extracts"][name] = {"file": EXTRACTS[name], "directed_stretches": len(city.graph.stretches),
                                    "trips": len(city.trips), "trip_km": round(metres / 1000, 1),
                                    "trip_s": sum(len(trip.rows) - 1 for trip in city.trips)}
        report["start_cpu_s"].setdefault(name, {}).update(start_cost(city, args))
        for model in MODELS:
            for sigma_m in SIGMAS_M:
                for every_s in args.every:
                    cell = (name, model, sigma_m, every_s)
                    if args.resume and all(any(key(c) == (*cell, m) for c in report["cells"]) for m in args.matchers):
                        continue
                    for row in run_cell(city, model, sigma_m, every_s, args):
                        report["cells"] = [c for c in report["cells"] if key(c) != key(row)] + [row]
                    out.write_text(dump(report))


def key(row):
    return tuple(row[k] for k in ("city", "noise", "sigma_m", "every_s", "matcher"))


def public(argument):
    """Arguments without the folders of this machine."""
    return pathlib.Path(argument).name if argument.startswith(("/", "~")) else argument


def dump(report):
    """JSON with one cell a line, so that two runs can be compared line by line."""
    cells = ",\n".join("  " + json.dumps(c) for c in sorted(report["cells"], key=key))
    rest = json.dumps({k: v for k, v in report.items() if k != "cells"}, indent=1)
    return f'{rest[:-2]},\n "cells": [\n{cells}\n ]\n}}\n'


if __name__ == "__main__":
    main()

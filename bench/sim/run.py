#!/usr/bin/env python3
"""Ours against SUMO on the same work, run by turns: what it costs, and whether traffic behaves alike.

    pip install -r bench/sim/requirements.txt
    cargo build --release -p sim --example play
    python3 bench/sim/run.py --data DIR --out report.md [--work DIR] [--only grid,osm,bologna,jinan] [--side 40]

grid, osm: updates per CPU second on a grid and on streets of OpenStreetMap, without output, with one event a car-second (SUMO: FCD), on one and two threads; bologna: travel time by edge and arrivals, three seeds
each; jinan: mean seconds on the road. CityFlow has no package on PyPI; SUMO stands in for it. Every figure is a
median; the raw numbers are written beside the report as JSON.
"""
import argparse
import json
import math
import os
import statistics
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import grid  # noqa: E402
import jinan  # noqa: E402
import osm  # noqa: E402
import peer  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SEEDS = (1, 2, 3)
# An edge that fewer vehicles left has a travel time by chance.
VEHICLES_MIN = 20
# Vehicles that set out on the streets of OpenStreetMap in a second, and pairs of streets that they drive between.
OSM_PER_S, OSM_FLOWS = 6, 3_000


def play(program, scenario, end_s, seed, edges=None, options=()):
    words = [program, scenario, str(end_s), str(seed), *options] + (["--edges", edges] if edges else [])
    done = subprocess.run(words, capture_output=True, text=True, timeout=1200)
    if done.returncode != 0:
        raise SystemExit(f"ours failed: {done.stderr[-600:]}")
    said = json.loads(done.stdout)
    said["edges"] = {}
    if edges:
        for line in open(edges).read().splitlines()[1:]:
            name, travel_s, left = line.rsplit(",", 2)
            said["edges"][name] = (float(travel_s), int(left))
    return said


def alike(a, b):
    """How far two runs are apart: edges compared, RMSE in percent of the mean travel time, R², per edge."""
    both = [e for e in a if e in b and min(a[e][1], b[e][1]) >= VEHICLES_MIN]
    x, y = [a[e][0] for e in both], [b[e][0] for e in both]
    mean_x, mean_y = statistics.mean(x), statistics.mean(y)
    rmse = math.sqrt(statistics.mean((p - q) ** 2 for p, q in zip(x, y)))
    together = sum((p - mean_x) * (q - mean_y) for p, q in zip(x, y))
    r2 = together**2 / (sum((p - mean_x) ** 2 for p in x) * sum((q - mean_y) ** 2 for q in y))
    worst = sorted(both, key=lambda e: -abs(a[e][0] - b[e][0]))[:8]
    named = [(e, round(a[e][0], 1), round(b[e][0], 1)) for e in worst]
    return {"edges": len(both), "rmse_percent": 100 * rmse / mean_x, "r2": r2, "mean_s": (mean_x, mean_y), "worst": named}


def compare(sumo_runs, our_runs):
    """Ours against SUMO, seed by seed, beside SUMO against itself."""
    own = [alike(a["edges"], b["edges"]) for i, a in enumerate(sumo_runs) for b in sumo_runs[i + 1 :]]
    cross = [alike(a["edges"], b["edges"]) for a, b in zip(sumo_runs, our_runs)]
    middle = lambda all, key: statistics.median(one[key] for one in all)
    arrived = lambda run: run["departed"] - run["running"]
    return {
        "edges": middle(cross, "edges"),
        "rmse_percent": middle(cross, "rmse_percent"),
        "rmse_percent_of_seeds": middle(own, "rmse_percent"),
        "r2": middle(cross, "r2"),
        "r2_of_seeds": middle(own, "r2"),
        "arrived": [arrived(r) for r in sumo_runs],
        "arrived_ours": [r["arrived"] for r in our_runs],
        "mean_s": [r["mean_s"] for r in sumo_runs],
        "mean_s_ours": [r["mean_s"] for r in our_runs],
        "worst": cross[0]["worst"],
    }


def bologna(args):
    data = os.path.join(args.data, "sumo-bologna")
    file = lambda name: os.path.join(data, name)
    net, end_s = file("bologna.net.xml.gz"), 3600
    work = os.path.join(args.work, "bologna")
    os.makedirs(work, exist_ok=True)
    extra = [file("bologna_vtypes.add.xml"), file("bologna_bus_stops.add.xml"), file("bologna_tls.add.xml")]
    routes = [file("bologna.rou.xml.gz"), file("bologna_buses.rou.xml.gz")]
    scenario = os.path.join(work, "scenario.toml")
    grid.write_scenario(scenario, net, extra[:2] + routes, extra[2:], end_s, "Bologna")
    theirs, ours = [], []
    for seed in SEEDS:
        theirs.append(peer.run(net, routes, extra, end_s, seed, work))
        ours.append(play(args.play, scenario, end_s, seed, os.path.join(work, f"ours-{seed}.csv")))
    return compare(theirs, ours)


def jinan_(args):
    data = os.path.join(args.data, "jinan-cityflow")
    roadnet, flow = (os.path.join(data, f"{n}.json.gz") for n in ("roadnet_3_4", "anon_3_4_jinan_real"))
    work = os.path.join(args.work, "jinan")
    net, routes = jinan.make(roadnet, flow, work)
    scenario = os.path.join(work, "scenario.toml")
    grid.write_scenario(scenario, roadnet, [flow], [], 3600, "Jinan")
    theirs, ours = [], []
    for seed in SEEDS:
        theirs.append(peer.run(net, [routes], [], 3600, seed, work))
        ours.append(play(args.play, scenario, 3600, seed, os.path.join(work, f"ours-{seed}.csv")))
    return compare(theirs, ours)


def grid_(args):
    work = os.path.join(args.work, f"grid{args.side}")
    return costs(args, work, *grid.make(args.side, work, args.per_s, args.end_s, args.side * args.side * 5))


def osm_(args):
    work = os.path.join(args.work, "osm")
    return costs(args, work, *osm.make(args.data, work, OSM_PER_S, args.end_s, OSM_FLOWS))


def costs(args, work, net, routes, scenario):
    """What the same traffic costs both, by turns."""
    sumo = lambda seed, end_s=args.end_s, fcd=False: peer.run(net, [routes], [], end_s, seed, work, fcd=fcd, edges=False)
    ours = lambda seed, *options: play(args.play, scenario, args.end_s, seed, options=options)
    runs = {name: [] for name in ("sumo", "sumo with FCD", "arterial", "arterial, events encoded", "arterial, 2 threads")}
    # What it takes to read the files is no part of a step; ours says the time of the steps alone.
    idle_s = sumo(1, end_s=1)["cpu_s"]
    load = [os.getloadavg()[0]]
    for seed in range(1, args.rounds + 1):
        runs["sumo"].append(sumo(seed))
        if seed <= args.fcd_rounds:
            runs["sumo with FCD"].append(sumo(seed, fcd=True))
        # A run of ours is a hundredth of SUMO's, so there are several.
        for _ in range(3):
            runs["arterial"].append(ours(seed))
            runs["arterial, events encoded"].append(ours(seed, "--encode"))
            runs["arterial, 2 threads"].append(ours(seed, "--threads", "2"))
        load.append(os.getloadavg()[0])
    for name in ("sumo", "sumo with FCD"):
        for run in runs[name]:
            run["cpu_s"] -= idle_s
    rows = {name: grid_row(all) for name, all in runs.items() if all}
    # Other work only ever takes time away: the least of several runs by turns is nearest to what it takes alone.
    least = lambda name: min(run["wall_s"] for run in runs[name])
    return {"load": load, "rows": rows, "threads": least("arterial") / least("arterial, 2 threads")}


def grid_row(runs):
    middle = lambda of: statistics.median(map(of, runs))
    return {
        "runs": [{key: run[key] for key in ("updates", "running", "cpu_s", "wall_s")} for run in runs],
        "updates": middle(lambda run: run["updates"]),
        "running": middle(lambda run: run["running"]),
        "per_cpu_s": middle(lambda run: run["updates"] / run["cpu_s"]),
        "per_wall_s": middle(lambda run: run["updates"] / run["wall_s"]),
    }


def report(found, out):
    out.write(f"# The simulator against SUMO\n\n{peer.version()}; by turns; medians.\n")
    for place, called in (("grid", "on a grid of signals"), ("osm", "on streets of OpenStreetMap")):
        if place not in found:
            continue
        rows = found[place]["rows"]
        out.write(f"\n| {called} | updates | cars at the end | updates per CPU second | against SUMO |")
        out.write(" updates per wall second |\n|---|---:|---:|---:|---:|---:|\n")
        for name, one in rows.items():
            base = rows["sumo with FCD" if "encoded" in name and "sumo with FCD" in rows else "sumo"]["per_cpu_s"]
            out.write(f'| {name} | {one["updates"]:,.0f} | {one["running"]:,.0f} | {one["per_cpu_s"]:,.0f} |')
            out.write(f' {one["per_cpu_s"] / base:.1f} | {one["per_wall_s"]:,.0f} |\n')
        out.write(f'\n2 threads against 1, least wall time of each: {found[place]["threads"]:.2f}.\n')
        out.write(f'\nLoad of the machine: {", ".join(f"{x:.1f}" for x in found[place]["load"])}.\n')
    for place in ("bologna", "jinan"):
        if place not in found:
            continue
        one = found[place]
        out.write(f"\n## {place.capitalize()}\n\n| | ours against SUMO | SUMO against itself, other seeds |\n|---|---:|---:|\n")
        out.write(f'| edges with {VEHICLES_MIN} vehicles | {one["edges"]:.0f} | |\n')
        out.write(f'| RMSE of travel time by edge | {one["rmse_percent"]:.1f} % | {one["rmse_percent_of_seeds"]:.1f} % |\n')
        out.write(f'| R² | {one["r2"]:.3f} | {one["r2_of_seeds"]:.3f} |\n')
        ours, theirs = (statistics.median(one[k]) for k in ("arrived_ours", "arrived"))
        out.write(f"| arrived | {ours:.0f} | {theirs:.0f} |\n")
        ours, theirs = (statistics.median(one[k]) for k in ("mean_s_ours", "mean_s"))
        out.write(f"| mean seconds on the road | {ours:.0f} | {theirs:.0f} |\n")


def main():
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--data", default=os.environ.get("ARTERIAL_DATA"))
    asked.add_argument("--work", default=os.path.join(ROOT, "target", "bench-sim"))
    asked.add_argument("--play", default=os.path.join(ROOT, "target", "release", "examples", "play"))
    asked.add_argument("--only", default="grid,osm,bologna,jinan")
    asked.add_argument("--side", type=int, default=40, help="crossroads of the grid, a side")
    asked.add_argument("--end-s", type=int, default=350, help="simulated seconds on the grid")
    asked.add_argument("--per-s", type=float, default=150, help="vehicles that set out on the grid, a second")
    asked.add_argument("--rounds", type=int, default=3, help="rounds on the grid")
    asked.add_argument("--fcd-rounds", type=int, default=1, help="rounds of SUMO with FCD, which take longest")
    asked.add_argument("--out")
    args = asked.parse_args()
    args.work = os.path.abspath(args.work)
    parts = {"grid": grid_, "osm": osm_, "bologna": bologna, "jinan": jinan_}
    found = {name: parts[name](args) for name in args.only.split(",")}
    report(found, sys.stdout)
    if args.out:
        with open(args.out, "w") as out:
            report(found, out)
        with open(os.path.splitext(args.out)[0] + ".json", "w") as out:
            json.dump(found, out, indent=1)


if __name__ == "__main__":
    main()

"""Signals of `arterial signals` against the `atspm` package and against counting by hand, on the same events.

Usage: compare.py ARTERIAL_BINARY EVENTS.parquet > docs/benchmarks/.../signals.md
Needs: pip install -r requirements.txt

The wiring is `device1136.csv` beside this file: the configuration that the atspm package ships with its sample data.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
from atspm import SignalDataProcessor

HERE = Path(__file__).parent
ZONE = "America/Los_Angeles"
FUNCTIONS = {"advance": "Advance", "presence": "Presence", "count": "stop bar count", "yellow_red": "Yellow_Red"}


def theirs(events: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Arrivals and splits by phase and 15 minutes, as the package has them."""
    wiring = pd.read_csv(HERE / "device1136.csv")
    config = pd.DataFrame({
        "DeviceId": wiring.device, "Phase": wiring.phase, "Parameter": wiring.channel,
        "Function": wiring.function.map(FUNCTIONS),
    })
    aggregations = [
        {"name": "arrival_on_green", "params": {"latency_offset_seconds": 0}},
        {"name": "platoon_ratio", "params": {}},
        {"name": "split_failures", "params": {
            "red_time": 5, "red_occupancy_threshold": 0.79, "green_occupancy_threshold": 0.79,
            "by_approach": True, "by_cycle": False}},
    ]
    with SignalDataProcessor(raw_data=events, detector_config=config, bin_size=15, verbose=0,
                             remove_incomplete=False, aggregations=aggregations) as run:
        run.load()
        run.aggregate()
        arrivals = run.conn.execute("select * from platoon_ratio order by all").df()
        splits = run.conn.execute("select * from split_failures order by all").df()
    import atspm
    return arrivals, splits, getattr(atspm, "__version__", "2.6.1")


def by_hand(events: pd.DataFrame) -> pd.DataFrame:
    """Cycle lengths from red to red and delay of arrivals on red, by phase, from the rows themselves."""
    wiring = pd.read_csv(HERE / "device1136.csv")
    rows = []
    for phase in sorted(events[events.EventId == 10].Parameter.unique()):
        own = events[(events.Parameter == phase) & events.EventId.isin([1, 8, 10])].sort_values(
            ["TimeStamp", "EventId"], kind="stable")
        reds = own[own.EventId == 10].TimeStamp.tolist()
        cycles, lengths = [], []
        for red, nxt in zip(reds, reds[1:]):
            inside = own[(own.TimeStamp > red) & (own.TimeStamp < nxt)]
            if inside.EventId.tolist() == [1, 8]:
                cycles.append(red)
                lengths.append((nxt - red).total_seconds())
        channels = wiring[(wiring.phase == phase) & (wiring.function == "advance")].channel
        arrivals = events[(events.EventId == 82) & events.Parameter.isin(channels)].TimeStamp
        delay = 0.0
        for at in arrivals:
            before = own[own.TimeStamp <= at]
            if len(before) and before.iloc[-1].EventId == 10:
                after = own[(own.TimeStamp > at) & (own.EventId == 1)]
                delay += (after.iloc[0].TimeStamp - at).total_seconds() if len(after) else 0.0
        rows.append((phase, len(lengths), sum(lengths) / len(lengths), delay))
    return pd.DataFrame(rows, columns=["phase", "cycles", "cycle_s", "delay_s"])


def broken(events: pd.DataFrame) -> pd.DataFrame:
    """Where a phase does not go green, yellow, red: rows that the log misses, and its two ends."""
    rows = []
    after = {1: 8, 8: 10, 10: 1}
    names = {1: "green", 8: "yellow", 10: "red"}
    for phase in sorted(events[events.EventId == 10].Parameter.unique()):
        own = events[(events.Parameter == phase) & events.EventId.isin([1, 8, 10])].sort_values(
            ["TimeStamp", "EventId"], kind="stable")
        own = list(zip(own.TimeStamp, own.EventId))
        rows.append((phase, own[0][0], f"begins with {names[own[0][1]]}"))
        for (_, was), (at, now) in zip(own, own[1:]):
            if now != after[was]:
                rows.append((phase, at, f"{names[now]} after {names[was]}"))
        rows.append((phase, own[-1][0], f"ends with {names[own[-1][1]]}"))
    return pd.DataFrame(rows, columns=["phase", "time", "what"])


def ours(binary: str, path: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    with tempfile.TemporaryDirectory() as folder:
        bins, cycles = Path(folder) / "bins.csv", Path(folder) / "cycles.csv"
        subprocess.run([binary, "signals", path, "--format", "atspm", "--columns", f"zone={ZONE}", "--detectors",
                        str(HERE / "device1136.csv"), "--bins", str(bins), "--cycles", str(cycles)],
                       check=True, stdout=subprocess.DEVNULL)
        return pd.read_csv(bins), pd.read_csv(cycles)


def main(binary: str, path: str) -> None:
    events = pd.read_parquet(path)
    arrivals, splits, version = theirs(events)
    bins, cycles = ours(binary, path)
    start = pd.to_datetime(bins.start, utc=True).dt.tz_convert(ZONE).dt.tz_localize(None)
    bins = bins.assign(TimeStamp=start, Phase=bins.phase)
    both = bins.merge(arrivals, on=["TimeStamp", "Phase"], how="outer")
    both = both.merge(splits, on=["TimeStamp", "Phase"], how="outer", suffixes=("", "_split"))
    difference = pd.DataFrame({
        "arrivals": both.arrivals - both.Total_Actuations,
        "arrivals on green": both.arrivals_on_green - both.Green_Actuations,
        "green, s": both.green_s - both.Green_Seconds,
        "split failures": both.split_failures - both.Split_Failure,
        "green occupancy": both.green_occupancy - both.Green_Occupancy,
        "red occupancy": both.red_occupancy - both.Red_Occupancy,
    })
    print("# Signals against the atspm package\n")
    print(f"`bench/signals/compare.py` on `signals-oregon/hires_events_device1136.parquet` ({len(events):,} events, two "
          f"hours, phases 2, 5, 6, 8), atspm {version}, thresholds 79 %, by approach, bins of 15 minutes: "
          f"{len(both)} pairs of phase and bin.\n")
    print("| figure | ours, sum | atspm, sum | bins that differ | largest difference |")
    print("|---|---|---|---|---|")
    sums = {
        "arrivals": ("arrivals", "Total_Actuations"), "arrivals on green": ("arrivals_on_green", "Green_Actuations"),
        "green, s": ("green_s", "Green_Seconds"), "split failures": ("split_failures", "Split_Failure"),
        "green occupancy": ("green_occupancy", "Green_Occupancy"), "red occupancy": ("red_occupancy", "Red_Occupancy"),
    }
    for name, (mine, other) in sums.items():
        # The package keeps 32-bit floats.
        differs = difference[name].abs() > 1e-4
        print(f"| {name} | {both[mine].sum():.3f} | {both[other].sum():.3f} | {int(differs.sum() + difference[name].isna().sum())} "
              f"| {difference[name].abs().max():.6f} |")
    print("\n## Bins that differ\n")
    rows = both[(difference.abs() > 1e-4).any(axis=1) | difference.isna().any(axis=1)]
    columns = ["TimeStamp", "Phase", *[c for pair in sums.values() for c in pair]]
    print(rows[columns].to_markdown(index=False) if len(rows) else "None.")
    print("\nArrivals, arrivals on green, split failures and occupancies are equal. Seconds of green are not where the log misses "
          "a yellow: the package goes on with green until the next green, we end it at the red. Before the first row and "
          "after the last the package assumes green to the ends of the bins; we count what was seen. All such places:\n")
    print(broken(events).to_markdown(index=False))
    hand = by_hand(events)
    whole = cycles[cycles.is_whole]
    mine = pd.DataFrame({
        "cycles": whole.groupby("phase").size(),
        "cycle_s": (whole.end_ms - whole.start_ms).groupby(whole.phase).mean() / 1000,
        "delay_s": cycles.groupby("phase").delay_ms.sum() / 1000,
    }).reset_index()
    print("\n## Cycle lengths and delay\n")
    print("The package has neither; the rows are counted here by hand: red to red with one green and one yellow between, and "
          "green minus arrival of arrivals on red.\n")
    merged = mine.merge(hand, on="phase", suffixes=(" (ours)", " (by hand)"))
    print(merged.round(3).to_markdown(index=False))
    actual = events[events.EventId == 316].Parameter
    print(f"\nThe controller's own account (code 316, {len(actual)} times): mean {actual.mean():.2f} s, "
          f"median {actual.median():.0f} s.")


if __name__ == "__main__":
    main(*sys.argv[1:])

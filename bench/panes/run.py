"""Runs the pane store and polars in turns and writes the numbers as JSON.

usage: run.py PANES_BENCH SPOOL_BENCH PYTHON WORK OUT_JSON [ROUNDS]

The benches are the programs that cargo builds of `analytics/benches/{panes,spool}.rs`; PYTHON has polars installed. Polars
gets one thread: both sides are judged by CPU seconds.
"""
import json
import os
import platform
import statistics
import subprocess
import sys


def lines(*command, **env):
    said = subprocess.run(command, env={**os.environ, **env}, check=True, capture_output=True, text=True)
    return said.stdout.splitlines()


def main():
    panes, spool, python, work, out = sys.argv[1:6]
    rounds = int(sys.argv[6]) if len(sys.argv) > 6 else 3
    peer = os.path.join(os.path.dirname(os.path.abspath(__file__)), "polars_peer.py")
    os.makedirs(work, exist_ok=True)
    lines(panes, "write", work)
    spooled = os.path.join(work, "spool")
    if not os.path.isdir(spooled):
        lines(spool, "write", spooled)
    raw, load = [], []
    for turn in range(rounds):
        load.append(os.getloadavg()[0])
        raw += lines(panes, "add")
        raw += lines(python, peer, work, "all", POLARS_MAX_THREADS="1")
        # Minutes long, and its ticks are a median already.
        raw += lines(panes, "hour") if turn == 0 else []
        raw += lines(spool, "follow", spooled)
    report = {
        "machine": platform.processor() or platform.machine(), "cores": os.cpu_count(), "load": load,
        "polars": lines(python, "-c", "import polars; print(polars.__version__)")[0],
        "raw": raw, "medians": medians(raw),
    }
    with open(out, "w", encoding="utf-8") as text:
        json.dump(report, text, indent=1)
        text.write("\n")


def medians(raw):
    """The median of every number of the lines that begin with the same words."""
    found = {}
    for line in raw:
        words = line.split()
        if words[0] == "follow":
            words = [" ".join(words[:3])] + words[3:]
        elif words[1] in ("streaming", "in-memory"):
            words = [" ".join(words[:2])] + words[2:]
        for name, value in zip(words[1::2], words[2::2]):
            found.setdefault(words[0], {}).setdefault(name, []).append(float(value))
    return {what: {name: statistics.median(values) for name, values in of.items()} for what, of in found.items()}


if __name__ == "__main__":
    main()

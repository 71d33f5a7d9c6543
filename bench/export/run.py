"""Scrapes 120,000 series from our own writer and from the prometheus crate in turns, and writes what it cost as JSON.

usage: run.py EXPORT_BENCH OUT_JSON [ROUNDS]

EXPORT_BENCH is the program that cargo builds of `analytics/benches/export.rs`. Each side is a process of its own; both are
judged by CPU time and by the kernel's account of their memory.
"""
import json
import os
import platform
import re
import statistics
import subprocess
import sys


def main():
    bench, out = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    raw, load = [], []
    for _ in range(rounds):
        load.append(os.getloadavg()[0])
        for side in ("own", "crate"):
            raw.append(subprocess.run([bench, side], check=True, capture_output=True, text=True).stdout.strip())
    own, crate = ([line for line in raw if line.startswith(side)] for side in ("own", "crate"))
    own_ms, crate_ms, gzip_ms = number(own, "ms a scrape"), number(crate, "ms a scrape"), number(crate, "ms more")
    own_mb, crate_mb = number(own, "MB peak"), number(crate, "MB peak")
    report = {
        "machine": platform.processor() or platform.machine(), "cores": os.cpu_count(), "load": load, "raw": raw,
        "medians": {
            "own_ms": own_ms, "crate_ms": crate_ms, "crate_gzip_ms": gzip_ms, "own_peak_mb": own_mb, "crate_peak_mb": crate_mb,
        },
        "share_of_the_crate": {
            "time": round(own_ms / crate_ms, 4), "time_packed": round(own_ms / (crate_ms + gzip_ms), 4),
            "memory": round(own_mb / crate_mb, 4),
        },
    }
    with open(out, "w", encoding="utf-8") as text:
        json.dump(report, text, indent=1)
        text.write("\n")
    print(json.dumps({"medians": report["medians"], "share_of_the_crate": report["share_of_the_crate"]}, indent=1))


def number(lines, unit):
    """The median of the numbers before a unit."""
    return statistics.median(float(re.search(r"([\d.]+) " + unit, line).group(1)) for line in lines)


main()

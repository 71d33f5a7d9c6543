"""Whether PeMS' smoothing of derived speeds helps: SUMO's loops of Bologna, which also say the harmonic mean speed.

Usage: smooth.py e1.xml.gz
The effective length of each loop is learnt as analytics does (below the 60th percentile of occupancy, from speeds that the
loop measures); the derived speed is held against the measured harmonic mean, raw and smoothed with n / (n + 50).
"""

import gzip
import sys
import xml.etree.ElementTree as ET
from collections import defaultdict


def main(path: str) -> None:
    loops = defaultdict(list)
    for _, e in ET.iterparse(gzip.open(path)):
        if e.tag == "interval":
            a = e.attrib
            loops[a["id"]].append((int(a["nVehContrib"]), float(a["occupancy"]) / 100, float(a["speed"]),
                                   float(a["harmonicMeanSpeed"])))
    errors = {"raw": [], "smoothed, 50": [], "smoothed, 5": []}
    for rows in loops.values():
        free = sorted(rows, key=lambda r: r[1])[: int(len(rows) * 0.6)]
        timed = [(n, o, v) for n, o, v, _ in free if n > 0 and v > 0]
        vehicles = sum(n for n, _, _ in timed)
        if vehicles < 50:
            continue
        length = sum(o * 60 * v for _, o, v in timed) / vehicles
        held = {50: None, 5: None}
        for n, o, _, harmonic in rows:
            if n == 0 or o == 0 or harmonic <= 0:
                continue
            raw = n * length / (o * 60)
            errors["raw"].append(raw - harmonic)
            for half in held:
                w = n / (n + half)
                held[half] = raw if held[half] is None else w * raw + (1 - w) * held[half]
                errors[f"smoothed, {half}"].append(held[half] - harmonic)
    for name, e in errors.items():
        rms = (sum(x * x for x in e) / len(e)) ** 0.5
        mean_abs = sorted(abs(x) for x in e)[len(e) // 2]
        print(f"{name}: n {len(e)}, root mean square {rms:.2f} m/s, median {mean_abs:.2f} m/s")


if __name__ == "__main__":
    main(*sys.argv[1:])

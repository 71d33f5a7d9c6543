"""Says which limits of issue 3 (Must hold 1 and 2) a run holds, with the numbers; ends with 1 if one does not.

usage: check.py MATCH_JSON

Rates: the peers are judged without the seconds they need to start and load their network, arterial with them, so the
ratios are the less friendly reading of "reading and writing counted for all".
"""
import json
import statistics
import sys

RATE_10_S_MEILI, RATE_10_S_FMM, RATE_1_S_MEILI = 30.0, 6.0, 20.0
CELLS_NO_WORSE, ALLOWANCE, EXACT_ALLOWANCE = 16, 0.02, 0.02


def load(path):
    with open(path) as text:
        report = json.load(text)
    cells = {}
    for c in report["cells"]:
        cells.setdefault((c["city"], c["noise"], c["sigma_m"], c["every_s"]), {})[c["matcher"]] = c
    return report, cells


def ratio(report, cell, peer, is_strict=True):
    """How many times as many points per CPU second arterial matches in this cell."""
    own, other = (statistics.median(cell[m]["cpu_s"]) for m in ("arterial", peer))
    start = report["start_cpu_s"][cell[peer]["city"]][peer] if is_strict else 0.0
    return (other - start) / own


def rates(report, cells):
    limits = [("at 10 s and 10 m, times Meili", RATE_10_S_MEILI, "meili", lambda s, e: (s, e) == (10, 10)),
              ("at 10 s and 10 m, times FMM", RATE_10_S_FMM, "fmm", lambda s, e: (s, e) == (10, 10)),
              ("at 1 s, times Meili", RATE_1_S_MEILI, "meili", lambda s, e: e == 1)]
    for what, least, peer, is_meant in limits:
        found = {k: ratio(report, c, peer) for k, c in cells.items() if is_meant(k[2], k[3])}
        if not found:
            yield f"1. {what}: at least {least:g}", False, "not measured"
            continue
        below = [f"{name(k)} {r:.1f}" for k, r in sorted(found.items()) if r < least]
        spread = f"{min(found.values()):.1f} to {max(found.values()):.1f}"
        yield f"1. {what}: at least {least:g}", not below, spread + (f"; below: {', '.join(below)}" if below else "")


def quality(cells, city):
    """`over` is by how much arterial's mismatch is above Meili's, `lag` by how much its exact share is below."""
    mine = {k: c for k, c in cells.items() if k[0] == city}
    over = {k: c["arterial"]["mismatch"] - c["meili"]["mismatch"] for k, c in mine.items()}
    lag = {k: c["meili"]["exact"] - c["arterial"]["exact"] for k, c in mine.items()}
    good = sum(v <= 0 for v in over.values())
    worst = max(over, key=over.get)
    yield (f"2. {city}: mismatch no worse than Meili's in at least {CELLS_NO_WORSE} of 18 cells",
           len(mine) == 18 and good >= CELLS_NO_WORSE, f"{good} of {len(mine)}")
    yield (f"2. {city}: within {ALLOWANCE} of Meili's in the rest", over[worst] <= ALLOWANCE,
           f"worst {over[worst]:+.4f}, {name(worst)}")
    worst = max(lag, key=lag.get)
    yield (f"2. {city}: exact segment per fix within 2 points of Meili's in every cell", lag[worst] <= EXACT_ALLOWANCE,
           f"worst {-100 * lag[worst]:+.1f} points against Meili, {name(worst)}; behind in {sum(v > 0 for v in lag.values())}")


def name(key):
    return f"{key[0]} {key[1]} {key[2]} m / {key[3]} s"


def verdicts(report, cells):
    yield from rates(report, cells)
    for city in sorted({k[0] for k in cells}):
        yield from quality(cells, city)


def main():
    report, cells = load(sys.argv[1])
    holds = True
    for what, is_held, why in verdicts(report, cells):
        print(f"{'holds' if is_held else 'DOES NOT HOLD'}: {what}: {why}")
        holds &= is_held
    sys.exit(0 if holds else 1)


if __name__ == "__main__":
    main()

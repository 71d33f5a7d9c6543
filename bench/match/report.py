"""Writes the tables of a run as markdown.

usage: report.py MATCH_JSON > match.md
"""
import statistics
import sys

from check import load, name, ratio, verdicts

MATCHERS = ("meili", "fmm", "arterial", "arterial-bare")
HEADS = "Meili | FMM | arterial | arterial, no heading"


def table(head, rows):
    print(f"| {head} |\n|{'---|' * (head.count('|') + 1)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print()


def by_cell(cells, field, form):
    for key, cell in sorted(cells.items()):
        yield [name(key)] + [form.format(cell[m][field]) if m in cell else "" for m in MATCHERS]


def rate_rows(report, cells):
    for key, cell in sorted(cells.items(), key=lambda kc: (kc[0][0], kc[0][3], kc[0][1], kc[0][2])):
        rates = [f"{cell[m]['points_per_cpu_s'] / 1000:.1f} k" for m in MATCHERS]
        ratios = [f"{ratio(report, cell, p, False):.1f} / {ratio(report, cell, p):.1f}" for p in ("meili", "fmm")]
        spread = [(max(t) - min(t)) / statistics.median(t) for t in (cell[m]["cpu_s"] for m in MATCHERS)]
        runs = len(cell["arterial"]["cpu_s"])
        yield [name(key), str(cell["arterial"]["fixes"]), *rates, *ratios, f"{runs}, {100 * max(spread):.0f} %" if runs > 1 else "1"]


def main():
    report, cells = load(sys.argv[1])
    machine, packages = report["machine"], report["machine"]["packages"]
    print(f"# Map matching: arterial against Meili and FMM\n\n{report['date']}, {machine['cores']} × {machine['cpu']}, "
          f"shared with other work (load {machine['load_1min']:.1f} at the start), {machine['system']}, "
          f"{machine['arterial']} at commit `{machine['arterial_commit']}`, Python {machine['python']}, "
          + ", ".join(f"{k} {v}" for k, v in packages.items()) + f". Seed {report['seed']}.\n")
    print("Made by `bench/match` (its README says what is measured and how to repeat it); raw numbers in `match.json`.\n")
    for remark in report.get("remarks", []):
        print(f"{remark}\n")
    print(f"    {report['command']}\n\n## Limits of issue 3\n")
    for what, is_held, why in verdicts(report, cells):
        print(f"- {'holds' if is_held else '**does not hold**'}: {what}: {why}")
    print("\n## Extracts\n")
    for city, e in report["extracts"].items():
        start = ", ".join(f"{m} {s:.2f} s" for m, s in report["start_cpu_s"][city].items())
        print(f"- {city}: {e['directed_stretches']} directed stretches, {e['trips']} trips, {e['trip_km']} km, "
              f"{e['trip_s'] / 3600:.1f} h. To start and load the network: {start}.")
    print("\n## Route mismatch (metres missed and added over metres driven; less is better)\n")
    table(f"cell | {HEADS}", by_cell(cells, "mismatch", "{:.4f}"))
    print("## Exact stretch per fix (more is better)\n")
    table(f"cell | {HEADS}", by_cell(cells, "exact", "{:.3f}"))
    print("## The stretch or a driven neighbour of it\n")
    table(f"cell | {HEADS}", by_cell(cells, "near", "{:.3f}"))
    print("## Points per CPU second\n\nWhole processes: start, reading and writing counted. Ratios are arterial's, first "
          "of whole processes, then with the peers' start taken off (what the limits are judged by). Last column: runs, "
          "and the widest spread of any matcher over them.\n")
    table(f"cell | fixes | {HEADS} | times Meili | times FMM | runs", rate_rows(report, cells))


if __name__ == "__main__":
    main()

"""Meili through pyvalhalla as a command: reads the table of fixes, matches each trip, writes a table.

usage: meili.py VALHALLA_JSON FIXES SIGMA_M path|fixes OUT

Settings a careful user would make: the accuracy is the noise, the radius four times it (25 to 100 m); all else as
Valhalla's own configuration has it. Requests are put together from the file's own digits, so that Python costs little.
"""
import csv
import itertools
import json
import sys

from valhalla import Actor


def request(rows, sigma_m, attributes):
    shape = ",".join(f'{{"lat":{r[3]},"lon":{r[2]},"time":{r[1][:-3]}}}' for r in rows)
    options = {"gps_accuracy": sigma_m, "search_radius": min(100, max(25, 4 * sigma_m))}
    rest = {"costing": "auto", "shape_match": "map_snap", "trace_options": options,
            "filters": {"attributes": attributes, "action": "include"}}
    return f'{{"shape":[{shape}],{json.dumps(rest)[1:]}'


def write_path(out, name, answer, rows):
    for e in answer["edges"]:
        out.write(f'{name},{e["id"]},{e.get("source_percent_along", 0.0)},{e.get("target_percent_along", 1.0)}\n')


def write_fixes(out, name, answer, rows):
    ids = [e["id"] for e in answer["edges"]]
    for row, point in zip(rows, answer["matched_points"]):
        at = point.get("edge_index", len(ids))
        if at < len(ids):
            out.write(f'{name},{row[1]},{ids[at]},{point.get("distance_along_edge", 0.0)}\n')


def main():
    config, fixes, sigma_m, what, target = sys.argv[1:]
    actor = Actor(config)
    attributes = ["edge.id", "edge.length"]     # with the length come the shares of edges driven in part
    write = write_path
    if what == "fixes":
        attributes = ["edge.id", "matched.edge_index", "matched.distance_along_edge", "matched.type"]
        write = write_fixes
    failed = 0
    with open(fixes, newline="") as table, open(target, "w") as out:
        lines = csv.reader(table)
        next(lines)
        for name, group in itertools.groupby(lines, key=lambda row: row[0]):
            rows = list(group)
            try:
                answer = json.loads(actor.trace_attributes(request(rows, float(sigma_m), attributes)))
            except RuntimeError as error:       # "Map Match algorithm failed to find path" and the like
                failed += 1
                print(f"{name}: {error}", file=sys.stderr)
                continue
            write(out, name, answer, rows)
    if failed:
        print(f"failed trips: {failed}", file=sys.stderr)


main()

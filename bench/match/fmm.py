"""FMM, as fastmm repackages it, as a command: reads the table of fixes, matches each trip, writes a table.

usage: fmm.py EDGES_CSV CACHE_DIR FIXES SIGMA_M path|fixes OUT

The network is ours (graph.py), the table of shortest paths reaches 1.5 km and is read from its cache.
"""
import csv
import itertools
import math
import sys

import fastmm

from graph import EARTH_RADIUS_M

TABLE_M = 1500


def network(path):
    net, origin, lengths_m = fastmm.Network(), None, {}
    with open(path) as lines:
        for line in lines:
            edge, begin, end, text = line.rstrip("\n").split(",")
            points = [tuple(map(float, point.split())) for point in text.split(";")]
            origin = origin or points[0]
            line = [flat(origin, p) for p in points]
            net.add_edge(int(edge), int(begin), int(end), line)
            lengths_m[int(edge)] = sum(math.dist(a, b) for a, b in zip(line, line[1:]))
    net.finalize()
    return net, origin, lengths_m


def flat(origin, lonlat):
    """Metres east and north of an origin; exact enough over a city."""
    k = math.cos(math.radians(origin[1]))
    return (math.radians(lonlat[0] - origin[0]) * EARTH_RADIUS_M * k,
            math.radians(lonlat[1] - origin[1]) * EARTH_RADIUS_M)


def write_path(out, name, rows, sub, lengths_m):
    """Ranges of edges; what neighbouring steps drove on one edge is joined. (The offsets inside `points` count from
    the step's begin, so only those of the two candidates are used.)"""
    edge, begin, end = None, 0.0, 0.0
    for step in sub.segments:
        last = len(step.edges) - 1
        for k, part in enumerate(step.edges):
            low = step.p0.offset_from_start_of_edge if k == 0 else 0.0
            high = step.p1.offset_from_start_of_edge if k == last else lengths_m[part.edge_id]
            if part.edge_id == edge and k == 0:
                end = max(end, high)
                continue
            if edge is not None and end > begin:
                out.write(f"{name},{edge},{begin:.2f},{end:.2f}\n")
            edge, begin, end = part.edge_id, low, high
    if edge is not None and end > begin:
        out.write(f"{name},{edge},{begin:.2f},{end:.2f}\n")


def write_fixes(out, name, rows, sub, lengths_m):
    for i, step in enumerate(sub.segments):
        if step.edges:
            at_m = step.p0.offset_from_start_of_edge
            out.write(f"{name},{rows[sub.start_index + i][1]},{step.edges[0].edge_id},{at_m:.2f}\n")
    if sub.segments and sub.segments[-1].edges:
        step = sub.segments[-1]
        at_m = step.p1.offset_from_start_of_edge
        out.write(f"{name},{rows[sub.end_index][1]},{step.edges[-1].edge_id},{at_m:.2f}\n")


def main():
    edges, cache, fixes, sigma_m, what, target = sys.argv[1:]
    sigma_m = float(sigma_m)
    write = write_path if what == "path" else write_fixes
    net, origin, lengths_m = network(edges)
    matcher = fastmm.FastMapMatch(net, fastmm.TransitionMode.SHORTEST, max_distance_between_candidates=TABLE_M,
                                  cache_dir=cache)
    with open(fixes, newline="") as table, open(target, "w") as out:
        lines = csv.reader(table)
        next(lines)
        for name, group in itertools.groupby(lines, key=lambda row: row[0]):
            rows = list(group)
            track = fastmm.Trajectory.from_xy_tuples([flat(origin, (float(r[2]), float(r[3]))) for r in rows])
            result = matcher.match(track, max_candidates=8, candidate_search_radius=max(50.0, 3.5 * sigma_m),
                                   gps_error=sigma_m, reverse_tolerance=2 * sigma_m)
            for sub in result.subtrajectories:
                write(out, name, rows, sub, lengths_m)


main()

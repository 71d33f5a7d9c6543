"""How wrong a corridor's travel time is when a share of the vehicles reports, by two estimators.

    for s in 1 2 3 4; do arterial sim --headless --network demo --vehicles 1000 --seed $s --duration-s 900 \\
        --sensors exact --out city$s; done
    curl http://127.0.0.1:8080/api/v1/network > network.json      (any `arterial analytics --network demo`)
    python corridors.py network.json city1 city2 city3 city4       (polars and numpy from PyPI)

Every vehicle's metres and seconds by segment come from the simulator's own places; of them a share is drawn ten times a
city. `lean` is what `arterial verify` did before, `expected` is `analytics/src/metric/corridor_time.rs`.
"""

import json
import sys

import numpy as np
import polars as pl

RANK = {"motorway": 0, "trunk": 1, "primary": 2, "secondary": 3, "tertiary": 4}


def load_network(path):
    s = json.load(open(path))["segments"]
    ends = []
    for line in s["line"]:
        x, y = line[0], line[1]
        begin = (x, y)
        for k in range(2, len(line), 2):
            x, y = x + line[k], y + line[k + 1]
        ends.append((begin, (x, y)))
    return s, ends


def corridors(s, ends):
    by_begin = {}
    for i, (begin, _) in enumerate(ends):
        by_begin.setdefault(begin, []).append(i)
    goes_on = lambda a, b: s["class"][a] == s["class"][b] and s["name"][a] and s["name"][a] == s["name"][b]
    onward = lambda a: [b for b in by_begin.get(ends[a][1], []) if ends[b][1] != ends[a][0] and goes_on(a, b)]
    follows = {b for a in range(len(ends)) for b in onward(a)}
    taken, routes = set(), []
    for later in (False, True):
        for first in range(len(ends)):
            if first in taken or (first in follows) != later or RANK.get(s["class"][first], 9) > 3:
                continue
            route, metres = [first], s["length_m"][first]
            taken.add(first)
            while rest := [b for b in onward(route[-1]) if b not in taken]:
                metres += s["length_m"][rest[0]]
                if metres > 4000:
                    break
                taken.add(rest[0])
                route.append(rest[0])
            metres = sum(s["length_m"][i] for i in route)
            if metres >= 800:
                routes.append((-metres, route))
    return [np.array(route) for _, route in sorted(routes)[:20]]


def kinds(s, ends):
    into = {}
    for i, (_, end) in enumerate(ends):
        into.setdefault(end, []).append(i)
    rank = [RANK.get(c, 5) for c in s["class"]]
    meets = [min((rank[x] for x in into[e] if s["name"][x] != s["name"][i]), default=9) for i, (_, e) in enumerate(ends)]
    return np.array(rank) * 10 + np.array(meets)


def driven(folder, s):
    """Vehicle, segment, metres, seconds."""
    ids, length = {x: i for i, x in enumerate(s["id"])}, np.array(s["length_m"])
    times = pl.read_parquet(f"{folder}/positions.parquet").select("vehicle", "seq", "ts_ms")
    f = pl.read_parquet(f"{folder}/truth/fixes.parquet").join(times, on=["vehicle", "seq"]).sort("vehicle", "ts_ms")
    v, t, o = (f[c].to_numpy() for c in ("vehicle", "ts_ms", "offset_m"))
    g = np.array([ids[x] for x in f["segment"]])
    i = np.nonzero((v[1:] == v[:-1]) & (t[1:] - t[:-1] == 1000))[0]
    j, same = i + 1, g[i] == g[i + 1]
    before, behind = np.where(same, o[j] - o[i], length[g[i]] - o[i]), np.where(same, 0, o[j])
    share = np.where(same, 1, before / np.maximum(before + behind, 1e-6))
    return (np.concatenate(p) for p in ((v[i], v[i]), (g[i], g[j]), (before, behind), (share, 1 - share)))


def lean(route, t, d, length, free, share, _):
    seen, n = d[route] > 0, d[route] / length[route]
    usual = length[route] / free[route] * t[route][seen].sum() / (d[route][seen] / free[route][seen]).sum()
    more = 2 * (1 - share)
    return np.where(seen, (t[route] + more * usual) / np.maximum(n + more, 1e-9), usual).sum()


def expected(route, t, d, length, free, share, kind):
    n, delay = d / length, t - d / free
    city, usual = delay.sum() / n.sum(), np.zeros(len(length))
    for k in np.unique(kind):
        m = kind == k
        usual[m] = max((delay[m].sum() + 10 * city) / (n[m].sum() + 10), 0.05)
    more = 100 * (1 - share) * usual[route].mean()
    factor = max((delay[route].sum() + more) / ((n * usual)[route].sum() + more), 0.1)
    more = 5 * (1 - share)
    return (length[route] / free[route] + (delay[route] + more * factor * usual[route]) / (n[route] + more)).sum()


def main(network, folders):
    s, ends = load_network(network)
    length, free, kind = np.array(s["length_m"]), np.array(s["free_flow_mps"]), kinds(s, ends)
    routes, draw = corridors(s, ends), np.random.default_rng(7)
    errors = {}
    for folder in folders:
        v, g, d, t = driven(folder, s)
        total = lambda of, m=slice(None): np.bincount(g[m], of[m], len(length))
        truth = [lean(r, total(t), total(d), length, free, 1.0, kind) for r in routes]
        vehicles = np.unique(v)
        for share in (0.01, 0.02, 0.05, 0.1, 0.2):
            for _ in range(10):
                m = np.isin(v, vehicles[draw.random(len(vehicles)) < share])
                t1, d1 = total(t, m), total(d, m)
                for r, true_s in zip(routes, truth):
                    if length[r][d1[r] > 0].sum() >= 0.5 * length[r].sum():
                        for f in (lean, expected):
                            error = abs(f(r, t1, d1, length, free, share, kind) / true_s - 1)
                            errors.setdefault((share, f.__name__), []).append(error)
    for (share, name), e in sorted(errors.items()):
        print(f"{share:5.0%} {name:9} {np.mean(e):6.2%} of {len(e)}")


main(sys.argv[1], sys.argv[2:])

"""Drives trips over an extract and writes what a receiver on board would have said: the truth and the fixes.

Upstream: graph.py. Downstream: run.py hands the fixes to the matchers, score.py holds them against the truth.
Everything hangs on the seed alone.
"""
import heapq
import math
import random

from graph import EARTH_RADIUS_M

SEED = 20261122
BEGIN_S = 1_700_000_000
TRIP_S = (480, 840)         # shortest and longest trip
WAYPOINT_M = 400.0          # least length of a leg: less gives circles around the block
ACCELERATION_MPS2, BRAKING_MPS2 = 1.6, 2.0
STOP_SHARE, STOP_S = 0.15, (3, 45)      # of the junctions; seconds at a red light
QUEUE_M = (3, 40)           # where it stands then, before the junction's node
JUNCTION_M = 70.0           # least way between two junctions that may stop us: crossings come in bundles of nodes
DRIFT_S = 60.0              # time constant of the drifting error
DRIFT_SHARE = 0.9           # of its variance; the rest is independent from fix to fix
SPEED_NOISE_MPS, HEADING_NOISE_DEG = 0.5, 6.0


class Trip:
    def __init__(self, name, path, rows):
        self.name = name
        self.path = path            # [(stretch, from_m, to_m)] between first and last row
        self.rows = rows            # at 1 Hz: (second, index in path, offset_m, lon, lat, speed_mps, heading_deg)


def make_trips(graph, count, seed=SEED):
    rng = random.Random(seed)
    core = largest_core(graph, rng)
    trips = []
    for number in range(count):
        stretches = chain(graph, core, rng, rng.uniform(*TRIP_S))
        rows = drive(graph, stretches, rng, BEGIN_S + 7 * number)
        trips.append(Trip(f"t{number:03}", *driven(graph, stretches, rows)))
    return trips


def largest_core(graph, rng):
    """Stretches that reach each other over plain streets."""
    plain = [s.index for s in graph.stretches if s.is_plain]
    back = {}
    for i in plain:
        for j in graph.onward(i):
            back.setdefault(j, []).append(i)

    def reached(start, onward):
        seen, todo = {start}, [start]
        while todo:
            for j in onward(todo.pop()):
                if j not in seen and graph.stretches[j].is_plain:
                    seen.add(j)
                    todo.append(j)
        return seen
    cores = [reached(s, graph.onward) & reached(s, lambda i: back.get(i, ())) for s in rng.sample(plain, 12)]
    return sorted(max(cores, key=len))


def chain(graph, core, rng, seconds):
    """Legs between random waypoints, each by its own taste for streets, until the trip is long enough."""
    inside, path, total_s = set(core), [rng.choice(core)], 0.0
    while total_s < 1.6 * seconds:              # free-flow time plus a reserve; drive() stops when the time is over
        taste = {}
        leg = route(graph, inside, path[-1], rng.choice(core), lambda i: taste.setdefault(i, rng.uniform(0.5, 1.5)))
        if leg and sum(graph.stretches[i].length_m for i in leg) >= WAYPOINT_M:
            path += leg
            total_s += sum(graph.stretches[i].length_m / (graph.stretches[i].kmh / 3.6) for i in leg)
    return path


def route(graph, inside, start, goal, taste):
    """Stretches after `start` up to and with `goal`, by Dijkstra over stretches; None if there is no way."""
    best, queue, before = {start: 0.0}, [(0.0, start)], {}
    while queue:
        cost, i = heapq.heappop(queue)
        if i == goal:
            break
        if cost > best[i]:
            continue
        for j in graph.onward(i):
            if j in inside:
                s = graph.stretches[j]
                c = cost + s.length_m / s.kmh * taste(j)
                if c < best.get(j, math.inf):
                    best[j], before[j] = c, i
                    heapq.heappush(queue, (c, j))
    if goal not in before:
        return None
    path = [goal]
    while before[path[-1]] != start:
        path.append(before[path[-1]])
    return path[::-1]


def drive(graph, path, rng, begin_s):
    """Positions at 1 Hz with acceleration, slower bends and red lights; the length of the trip is whole half minutes."""
    caps, waits, spots, junction_at = [], {}, [], 0
    for k, i in enumerate(path):
        s = graph.stretches[i]
        cap = s.kmh / 3.6 * rng.uniform(0.6, 1.0)
        for metre in range(int(s.length_m)):     # cells of one metre
            caps.append(cap)
            spots.append((k, metre + 0.5))
        if not spots or k + 1 == len(path):
            continue
        bend = abs((graph.stretches[path[k + 1]].at(0.0)[1] - s.at(s.length_m)[1] + 180) % 360 - 180)
        if bend > 40 and caps:
            caps[-1] = min(caps[-1], 5.0 if bend < 110 else 3.0)
        if len(caps) - junction_at < JUNCTION_M:
            continue
        junction_at = len(caps)
        if rng.random() < STOP_SHARE:
            queued = min(int(rng.uniform(*QUEUE_M)), int(s.length_m) - 1)
            caps[-1 - queued] = 0.5
            waits[len(caps) - 1 - queued] = rng.uniform(*STOP_S)
    for k in range(1, len(caps)):
        caps[k] = min(caps[k], math.sqrt(caps[k - 1] ** 2 + 2 * ACCELERATION_MPS2))
    for k in range(len(caps) - 2, -1, -1):
        caps[k] = min(caps[k], math.sqrt(caps[k + 1] ** 2 + 2 * BRAKING_MPS2))
    duration_s = 30 * round(rng.uniform(*TRIP_S) / 30)
    rows, clock, second, skip = [], 0.0, 0, rng.randrange(5, 60)
    for k in range(skip, len(caps)):
        (position, offset), speed = spots[k], caps[k]
        leave = clock + 1.0 / speed + waits.get(k, 0.0)
        while second < leave and second <= duration_s:
            (lon, lat), heading = graph.stretches[path[position]].at(offset)
            shown = 0.0 if k in waits and second < clock + waits[k] else speed
            rows.append((begin_s + second, position, offset, lon, lat, shown, heading))
            second += 1
        clock = leave
        if second > duration_s:
            return rows
    raise ValueError("the trip ran out of road before its time")


def driven(graph, path, rows):
    """The path between the first and the last row, and the rows counted along that path."""
    first, last = rows[0], rows[-1]
    ranges = [[i, 0.0, graph.stretches[i].length_m] for i in path[first[1]:last[1] + 1]]
    ranges[0][1], ranges[-1][2] = first[2], last[2]
    return [tuple(r) for r in ranges], [(t, k - first[1], *rest) for t, k, *rest in rows]


def noisy(trip, sigma_m, every_s, model, again=0, seed=SEED):
    """The fixes of a trip: thinned, with noise of sigma per axis. `again` gives another draw of the same noise.

    independent: from fix to fix. drift: a first-order autoregression with a time constant of 60 s, as receivers do,
    with a tenth of the variance independent.
    """
    rng = random.Random(f"{seed} {trip.name} {sigma_m} {every_s} {model} {again}")
    keep = math.exp(-every_s / DRIFT_S)
    slow_m = math.sqrt(DRIFT_SHARE) * sigma_m if model == "drift" else 0.0
    fast_m = math.sqrt(1.0 - DRIFT_SHARE) * sigma_m if model == "drift" else sigma_m
    east, north = rng.gauss(0, slow_m), rng.gauss(0, slow_m)
    for t, _, _, lon, lat, speed, heading in trip.rows[::every_s]:
        x, y = east + rng.gauss(0, fast_m), north + rng.gauss(0, fast_m)
        spoken = max(0.0, speed + rng.gauss(0, SPEED_NOISE_MPS)) if speed > 0 else 0.0
        turned = (heading + rng.gauss(0, HEADING_NOISE_DEG)) % 360
        yield (t, lon + math.degrees(x / (EARTH_RADIUS_M * math.cos(math.radians(lat)))),
               lat + math.degrees(y / EARTH_RADIUS_M), spoken, turned)
        east = keep * east + math.sqrt(1 - keep * keep) * rng.gauss(0, slow_m)
        north = keep * north + math.sqrt(1 - keep * keep) * rng.gauss(0, slow_m)


def write_fixes(path, trips, sigma_m, every_s, model, times=1):
    """A table that every matcher reads, grouped by trip; returns the number of fixes."""
    count = 0
    with open(path, "w") as out:
        out.write("id,time_ms,lon,lat,speed_mps,heading_deg\n")
        for again in range(times):
            for trip in trips:
                for t, lon, lat, speed, heading in noisy(trip, sigma_m, every_s, model, again):
                    out.write(f"{trip.name}r{again},{t * 1000},{lon:.7f},{lat:.7f},{speed:.2f},{heading:.1f}\n")
                    count += 1
    return count

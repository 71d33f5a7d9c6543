"""Puts every matcher's output back onto the common ground and holds it against the truth.

Upstream: the tables of meili.py, fmm.py and `arterial match`; trips.py. Downstream: run.py.

The measure is Newson and Krumm's (2009) route mismatch: metres missed plus metres added over metres driven, counted
per directed stretch, so that the right street in the wrong direction is wrong twice, and driving a stretch twice
counts twice. At the two ends of a trip only the metres driven count, on both sides. What lies on no stretch of ours
(a yard that only one importer takes) counts as added.
"""
import bisect
import csv

from blake3 import blake3

from graph import metres, place_of

SEGMENT_MAX_M = 500.0       # arterial cuts longer pieces into equal parts


class Lines:
    """Lays lines of places, as any importer cut them, onto stretches."""

    def __init__(self, graph):
        self.graph = graph
        self.places = {place_of(lonlat) for lonlat in graph.nodes.values()}

    def lay(self, lonlats):
        """[(begin_m, end_m on the line, stretch or None, begin_m on the stretch)] for each piece of the line."""
        places = [self._nearest(p) for p in lonlats]
        out, at = [], 0.0
        for a, b, p, q in zip(lonlats, lonlats[1:], places, places[1:]):
            end = at + metres(a, b)
            if end > at:
                stretch, begin, _ = self.graph.pieces.get((p, q), (None, 0.0, 0.0))
                out.append((at, end, stretch, begin))
            at = end
        return out

    def _nearest(self, lonlat):
        # Valhalla's shapes are off by up to one unit of the sixth digit.
        x, y = place_of(lonlat)
        near = ((x + dx, y + dy) for dx in (0, 1, -1) for dy in (0, 1, -1))
        return next((p for p in near if p in self.places), (x, y))


def part(laid, begin_m, end_m):
    """Metres per stretch of the range of a laid line."""
    out = {}
    for low, high, stretch, _ in laid:
        shared = min(high, end_m) - max(low, begin_m)
        if shared > 0:
            out[stretch] = out.get(stretch, 0.0) + shared
    return out


def spot(laid, at_m):
    """The stretch at metres of a laid line."""
    i = bisect.bisect_right([piece[0] for piece in laid], at_m) - 1
    return laid[max(0, i)][2] if laid else None


class Meili:
    """edge id, begin share, end share | edge id, share"""

    def __init__(self, lines, config):
        from valhalla.baldr import GraphId
        from valhalla.baldr.utils import GraphUtils
        self.lines, self.tiles, self.id, self.laid = lines, GraphUtils(config), GraphId, {}

    def edge(self, text):
        if text not in self.laid:
            self.laid[text] = self.lines.lay(self.tiles.get_edge_shape(self.id(int(text))))
        return self.laid[text]

    def paths(self, table):
        for name, edge, begin, end in rows_of(table):
            laid = self.edge(edge)
            length = laid[-1][1] if laid else 0.0
            yield name, part(laid, float(begin) * length, float(end) * length)

    def fixes(self, table):
        for name, time_ms, edge, share in rows_of(table):
            laid = self.edge(edge)
            yield name, int(time_ms), spot(laid, float(share) * laid[-1][1]) if laid else None


class Fmm:
    """our stretch, begin, end | our stretch, metres"""

    def paths(self, table):
        for name, edge, begin, end in rows_of(table):
            yield name, {int(edge): float(end) - float(begin)}

    def fixes(self, table):
        for name, time_ms, edge, _ in rows_of(table):
            yield name, int(time_ms), int(edge)


class Arterial:
    """The columns of `arterial match`. A segment's id is the hash of its end nodes in driving direction, and of its
    part; streets that join the same two nodes add their way, the oldest way has the plain name."""

    def __init__(self, lines):
        self.lines, self.texts, self.laid, self.ends = lines, {}, {}, {}
        for way, refs in sorted(lines.graph.way_refs.items()):
            for i, first in enumerate(refs):
                for j in range(i + 1, len(refs)):
                    if refs[j] not in lines.graph.nodes or first not in lines.graph.nodes:
                        continue
                    line = [lines.graph.nodes[n] for n in refs[i:j + 1] if n in lines.graph.nodes]
                    length = sum(metres(a, b) for a, b in zip(line, line[1:]))
                    parts = max(1, -int(-length // SEGMENT_MAX_M))
                    for number in range(parts):
                        for direction in ("forward", "backward"):
                            forward = direction == "forward"
                            ends = (first, refs[j]) if forward else (refs[j], first)
                            text = f"osm {ends[0]} {ends[1]}"
                            if first == refs[j]:
                                text += f" by {refs[i + 1] if forward else refs[j - 1]}"
                            if parts > 1:
                                text += f" part {number} of {parts}"
                            for name in (text, f"{text} way {way}", f"{text} way {way} again 0"):
                                self.texts.setdefault((int(way), id_of(name)), (line, direction, number, parts))

    def segment(self, name):
        """Laid line of the segment, its first and last place."""
        if name not in self.laid:
            if name not in self.texts:
                raise KeyError(f"segment {name} follows from no way of the extract: has the form of the ids changed?")
            line, direction, number, parts = self.texts[name]
            # Parts are counted in driving direction.
            line = line if direction == "forward" else line[::-1]
            laid = self.lines.lay(line)
            begin, end = (laid[-1][1] * k / parts for k in (number, number + 1))
            self.laid[name] = [(max(a, begin) - begin, min(b, end) - begin, stretch, m + max(0.0, begin - a))
                               for a, b, stretch, m in laid if min(b, end) > max(a, begin)]
            self.ends[name] = (line[0], 0) if number == 0 else (line[0], number), \
                              (line[-1], 0) if number + 1 == parts else (line[0], number + 1)
        return self.laid[name]

    def paths(self, table):
        rows = [(r["id"], key_of(r), float(r["distance_m"])) for r in named_rows_of(table)]
        for i, (name, segment, driven) in enumerate(rows):
            laid = self.segment(segment)
            length = laid[-1][1]
            before = i > 0 and self.meets(rows[i - 1], rows[i])
            begin = 0.0 if before else max(0.0, length - driven)
            out = part(laid, begin, min(length, begin + driven))
            if driven > length:     # to and fro on one segment
                stretch = laid[0][2]
                out[stretch] = out.get(stretch, 0.0) + driven - length
            yield name, out

    def meets(self, a, b):
        self.segment(a[1])
        return a[0] == b[0] and self.ends[a[1]][1] == self.ends[b[1]][0]

    def fixes(self, table):
        for r in named_rows_of(table):
            if r["segment"]:
                yield r["id"], int(r["time_ms"]), spot(self.segment(key_of(r)), float(r["offset_m"]))


def key_of(row):
    return int(row["source_id"].lstrip("-")), row["segment"]


def id_of(text):
    return blake3(text.encode()).hexdigest()[:16]


def rows_of(table):
    with open(table, newline="") as text:
        yield from csv.reader(text)


def named_rows_of(table):
    with open(table, newline="") as text:
        yield from csv.DictReader(text)


def mismatch(trips, paths, times=1):
    """missed, added and true metres over all trips; `paths` yields (vehicle, metres per stretch)."""
    got = {}
    for name, driven in paths:
        mine = got.setdefault(name, {})
        for stretch, m in driven.items():
            mine[stretch] = mine.get(stretch, 0.0) + m
    missed = added = true = 0.0
    for trip in trips:
        want = {}
        for stretch, begin, end in trip.path:
            want[stretch] = want.get(stretch, 0.0) + end - begin
        for again in range(times):
            mine = got.get(f"{trip.name}r{again}", {})
            true += sum(want.values())
            missed += sum(max(0.0, m - mine.get(s, 0.0)) for s, m in want.items())
            added += sum(max(0.0, m - want.get(s, 0.0)) for s, m in mine.items())
    return {"missed_m": round(missed), "added_m": round(added), "true_m": round(true),
            "mismatch": round((missed + added) / true, 4)}


def right_segment(trips, fixes, every_s, times=1):
    """Shares of fixes on the true stretch, on it or a driven neighbour of it, and without any match."""
    got = {(name, time_ms): stretch for name, time_ms, stretch in fixes}
    count = exact = near = none = 0
    for trip in trips:
        for again in range(times):
            for row in trip.rows[::every_s]:
                found = got.get((f"{trip.name}r{again}", row[0] * 1000))
                around = {p[0] for p in trip.path[max(0, row[1] - 1):row[1] + 2]}
                count += 1
                exact += found == trip.path[row[1]][0]
                near += found in around
                none += found is None
    return {"fixes": count, "exact": round(exact / count, 4), "near": round(near / count, 4),
            "unmatched": round(none / count, 4)}

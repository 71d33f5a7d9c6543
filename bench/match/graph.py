"""The common ground: an OSM extract as directed stretches of street, read by nobody's importer but our own.

Upstream: an .osm.pbf. Downstream: truth is driven on stretches, every matcher's output is put back onto them, and
FMM, which has no importer, gets them as its network.

A *piece* is a pair of neighbouring nodes of a way, in driving direction. A *stretch* is the run of pieces of one way
between two junctions (nodes that several streets share, or where a way ends). Nodes are named by their place, rounded
to 1e-6 degrees (0.1 m), since Valhalla's geometry knows places only.
"""
import math

import osmium

EARTH_RADIUS_M = 6371008.8
DRIVABLE = {"motorway", "trunk", "primary", "secondary", "tertiary", "unclassified", "residential", "living_street",
            "road", "service"}
NOT_STREETS = {"driveway", "parking_aisle", "drive-through", "emergency_access"}
BARRED = {"no", "private", "agricultural", "forestry", "emergency", "military"}
# Where a tag gives no limit; only the speed of the synthetic vehicles hangs on it.
KMH = {"motorway": 100, "trunk": 70, "primary": 50, "secondary": 50, "tertiary": 40, "unclassified": 40}


def metres(a, b):
    k = math.cos(math.radians((a[1] + b[1]) / 2))
    return EARTH_RADIUS_M * math.hypot(math.radians(b[0] - a[0]) * k, math.radians(b[1] - a[1]))


def place_of(lonlat):
    # Not round(): half to even would put neighbours two units apart.
    return math.floor(lonlat[0] * 1e6 + 0.5), math.floor(lonlat[1] * 1e6 + 0.5)


class Stretch:
    """One direction of one way between two junctions."""

    def __init__(self, index, way, refs, lonlats, kmh, is_plain):
        self.index, self.way, self.refs, self.lonlats, self.kmh = index, way, refs, lonlats, kmh
        self.is_plain = is_plain            # open to every car beyond doubt: truth is driven on these only
        self.along_m = [0.0]
        for a, b in zip(lonlats, lonlats[1:]):
            self.along_m.append(self.along_m[-1] + metres(a, b))
        self.length_m = self.along_m[-1]

    def at(self, offset_m):
        """Place and heading (degrees from north) at metres from the begin."""
        i = max(1, next((i for i, m in enumerate(self.along_m) if m >= offset_m), len(self.along_m) - 1))
        (ax, ay), (bx, by) = self.lonlats[i - 1], self.lonlats[i]
        share = min(1.0, max(0.0, (offset_m - self.along_m[i - 1]) / (self.along_m[i] - self.along_m[i - 1])))
        east = (bx - ax) * math.cos(math.radians(ay))
        return (ax + share * (bx - ax), ay + share * (by - ay)), math.degrees(math.atan2(east, by - ay)) % 360


class Graph:
    def __init__(self, path):
        everything, nodes, relations = read(path)
        self.nodes, self.way_refs = nodes, {way: refs for way, refs, _ in everything}
        ways = [way for way in everything if is_drivable(way[2])]
        uses = {}
        for _, refs, _ in ways:
            for i, node in enumerate(refs):
                uses[node] = uses.get(node, 0) + (2 if i in (0, len(refs) - 1) else 1)
        self.stretches, self.reverse, self.pieces, self.leaving = [], {}, {}, {}
        for way, refs, tags in ways:
            self._cut(way, refs, tags, uses)
        for s in self.stretches:
            for i, pair in enumerate(zip(s.refs, s.refs[1:])):
                key = tuple(place_of(nodes[node]) for node in pair)
                self.pieces.setdefault(key, (s.index, s.along_m[i], s.along_m[i + 1]))
            self.leaving.setdefault(s.refs[0], []).append(s.index)
        self.forbidden = restrictions(relations, self)

    def _cut(self, way, refs, tags, uses):
        along, against = directions(tags)
        # Importers differ in what they keep of a way that the edge of the extract cuts.
        plain = is_plain(tags) and all(node in self.nodes for node in refs)
        speed = kmh(tags)
        first = 0
        for i in range(1, len(refs)):
            if refs[i] not in self.nodes or refs[first] not in self.nodes:
                first = i                   # the extract lacks the node: the way is cut here
                continue
            if i + 1 < len(refs) and uses[refs[i]] < 2 and refs[i + 1] in self.nodes:
                continue
            run = refs[first:i + 1]
            first = i
            made = []
            for is_open, line in ((along, run), (against, run[::-1])):
                s = Stretch(len(self.stretches), way, line, [self.nodes[n] for n in line], speed, plain)
                if is_open and s.length_m > 0.0:
                    self.stretches.append(s)
                    made.append(s.index)
            if len(made) == 2:
                self.reverse[made[0]], self.reverse[made[1]] = made[1], made[0]

    def onward(self, index):
        """Stretches that may follow: connected, no turning back, no forbidden turn."""
        s = self.stretches[index]
        return [t for t in self.leaving.get(s.refs[-1], ())
                if t != self.reverse.get(index) and (index, t) not in self.forbidden]


def read(path):
    """All streets with their nodes (also those closed to cars: an importer may keep them), places, restrictions."""
    ways, relations, nodes = [], [], {}
    for o in osmium.FileProcessor(path):
        if o.is_way():
            tags = dict(o.tags)
            if tags.get("highway", "").removesuffix("_link") in DRIVABLE:
                refs = [n.ref for n in o.nodes]
                refs = [r for i, r in enumerate(refs) if i == 0 or r != refs[i - 1]]
                if len(refs) > 1:
                    ways.append((o.id, refs, tags))
        elif o.is_relation() and o.tags.get("type") == "restriction":
            relations.append(([(m.type, m.ref, m.role) for m in o.members], dict(o.tags)))
    used = {node for _, refs, _ in ways for node in refs}
    for o in osmium.FileProcessor(path, osmium.osm.NODE):
        if o.id in used:
            nodes[o.id] = (o.location.lon, o.location.lat)
    return sorted(ways, key=lambda way: way[0]), nodes, relations


def is_drivable(tags):
    highway = tags.get("highway", "").removesuffix("_link")
    if highway not in DRIVABLE or tags.get("area") == "yes" or tags.get("service") in NOT_STREETS:
        return False
    decides = next((tags[k] for k in ("motorcar", "motor_vehicle", "vehicle", "access") if k in tags), "yes")
    return decides not in BARRED


def is_plain(tags):
    """A street that every importer takes, in the same direction, so that no matcher is marked down for its map."""
    doubtful = ("access", "vehicle", "motor_vehicle", "motorcar", "oneway:motor_vehicle", "oneway:vehicle", "bus",
                "psv", "service")
    return (tags["highway"] not in ("service", "road", "living_street")
            and all(tags.get(k, "yes") == "yes" for k in doubtful)
            and tags.get("oneway", "no") in ("yes", "no", "-1") and not any("conditional" in k for k in tags))


def directions(tags):
    oneway = next((tags[k] for k in ("oneway:motor_vehicle", "oneway:vehicle", "oneway") if k in tags), None)
    if oneway in ("yes", "true", "1"):
        return True, False
    if oneway in ("-1", "reverse"):
        return False, True
    is_round = tags.get("junction") in ("roundabout", "circular") or tags["highway"] == "motorway"
    return True, oneway is not None or not is_round


def kmh(tags):
    posted = tags.get("maxspeed", "")
    return float(posted) if posted.isdigit() and 5 <= int(posted) <= 120 else KMH.get(tags["highway"].removesuffix("_link"), 30)


def restrictions(relations, graph):
    """Pairs of stretches that may not follow each other (via a node; via a way is left out)."""
    forbidden = set()
    for members, tags in relations:
        kind = tags.get("restriction", "")
        via = [ref for kind_, ref, role in members if role == "via" and kind_ == "n"]
        if len(via) != 1 or not kind.startswith(("no_", "only_")):
            continue
        from_ways = {ref for _, ref, role in members if role == "from"}
        to_ways = {ref for _, ref, role in members if role == "to"}
        leaving = graph.leaving.get(via[0], [])
        arriving = [s.index for s in graph.stretches if s.refs[-1] == via[0] and s.way in from_ways]
        for a in arriving:
            for b in leaving:
                if (graph.stretches[b].way in to_ways) == kind.startswith("no_"):
                    forbidden.add((a, b))
    return forbidden

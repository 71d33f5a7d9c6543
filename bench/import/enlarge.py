"""Writes an extract that holds an extract many times over, side by side, with ids of its own for every copy.

A country is not at hand where packages are the only source of data; copies of a real city have the tags, the junctions
and the block structure of one. They do not touch, so nothing is learned here about joining streets.

usage: enlarge.py EXTRACT.osm.pbf COPIES OUT.osm.pbf
"""

import sys

import osmium

# Metres between copies play no part; they must not overlap and must stay on the globe.
STEP_DEG = 0.05
ID_STEP = 1 << 36


def main(source: str, copies: int, out: str) -> None:
    side = 1
    while side * side < copies:
        side += 1
    header = osmium.io.Header()
    header.set("sorting", "Type_then_ID")
    writer = osmium.SimpleWriter(out, header=header, overwrite=True)
    nodes, ways, relations = [], [], []
    for thing in osmium.FileProcessor(source):
        tags = {tag.k: tag.v for tag in thing.tags}
        if thing.is_node():
            nodes.append((thing.id, tags, (thing.lon, thing.lat)))
        elif thing.is_way():
            ways.append((thing.id, tags, [node.ref for node in thing.nodes]))
        elif thing.is_relation():
            relations.append((thing.id, tags, [(m.type, m.ref, m.role) for m in thing.members]))
    for things in (nodes, ways, relations):
        things.sort(key=lambda thing: thing[0])
    for copy in range(copies):
        east, north = STEP_DEG * (copy % side - side / 2), STEP_DEG * (copy // side - side / 2)
        for id, tags, (lon, lat) in nodes:
            place = (lon + east, lat + north)
            writer.add_node(osmium.osm.mutable.Node(id=id + copy * ID_STEP, tags=tags, location=place))
    for copy in range(copies):
        for id, tags, refs in ways:
            moved = [ref + copy * ID_STEP for ref in refs]
            writer.add_way(osmium.osm.mutable.Way(id=id + copy * ID_STEP, tags=tags, nodes=moved))
    for copy in range(copies):
        for id, tags, members in relations:
            moved = [(kind, ref + copy * ID_STEP, role) for kind, ref, role in members]
            writer.add_relation(osmium.osm.mutable.Relation(id=id + copy * ID_STEP, tags=tags, members=moved))
    writer.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])

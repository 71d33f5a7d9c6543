"""The centre of Athens from OpenStreetMap with drawn traffic, as SUMO files and as one of our scenarios.

The recorded reply of Overpass becomes OSM XML, netconvert makes the network that both simulate, duarouter the routes
between drawn streets. Upstream: the recordings. Downstream: run.py.
"""
import gzip
import json
import os
import random
from xml.sax.saxutils import quoteattr

import grid
import peer


def make(data, folder, vehicles_per_s, end_s, flows, seed=1):
    """Writes net.net.xml, routes.rou.xml and scenario.toml; does nothing if they are there."""
    net, routes = os.path.join(folder, "net.net.xml"), os.path.join(folder, "routes.rou.xml")
    scenario = os.path.join(folder, "scenario.toml")
    if not os.path.exists(scenario):
        os.makedirs(folder, exist_ok=True)
        source = os.path.join(folder, "city.osm.xml")
        as_xml(os.path.join(data, "athens-pneuma", "athens_centre_overpass.json.gz"), source)
        options = ["--geometry.remove", "--junctions.join", "--tls.guess-signals", "--tls.discard-simple", "--tls.join"]
        options += ["--keep-edges.by-vclass", "passenger", "--keep-edges.components", "1", "--no-turnarounds", "true"]
        peer.netconvert("--osm-files", source, *options, "-o", net)
        grid.traffic(folder, net, routes, vehicles_per_s, end_s, flows, random.Random(seed))
        grid.write_scenario(scenario, "net.net.xml", ["routes.rou.xml"], [], end_s, "Athens, centre")
    return net, routes, scenario


def as_xml(path, out):
    """Nodes and ways of a reply of Overpass; relations are left out."""
    with gzip.open(path, "rt") as source:
        elements = json.load(source)["elements"]
    with open(out, "w") as to:
        to.write('<osm version="0.6">\n')
        for kind in ("node", "way"):
            for one in elements:
                if one["type"] != kind:
                    continue
                at = f' lat="{one["lat"]}" lon="{one["lon"]}"' if kind == "node" else ""
                to.write(f'<{kind} id="{one["id"]}" version="1"{at}>')
                to.writelines(f'<nd ref="{ref}"/>' for ref in one.get("nodes", ()))
                tags = one.get("tags", {}).items()
                to.writelines(f"<tag k={quoteattr(key)} v={quoteattr(value)}/>" for key, value in tags)
                to.write(f"</{kind}>\n")
        to.write("</osm>\n")

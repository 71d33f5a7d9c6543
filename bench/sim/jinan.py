"""A CityFlow roadnet and its flows as SUMO files, so that SUMO stands in where CityFlow cannot be had.

Roads, lane links, light phases and vehicles become plain XML for netconvert and a route file. CityFlow counts lanes from
the middle of the road, SUMO from the kerb. Upstream: roadnet and flow. Downstream: run.py.
"""
import gzip
import json
import os

import peer


def load(path):
    with (gzip.open(path, "rt") if path.endswith(".gz") else open(path)) as source:
        return json.load(source)


def make(roadnet, flow, folder):
    """Writes net.net.xml and routes.rou.xml; gives their paths."""
    os.makedirs(folder, exist_ok=True)
    net = load(roadnet)
    lanes = {road["id"]: len(road["lanes"]) for road in net["roads"]}
    part = lambda name: os.path.join(folder, f"jinan.{name}.xml")
    with open(part("nod"), "w") as out:
        out.write("<nodes>\n")
        for at in net["intersections"]:
            kind = "dead_end" if at["virtual"] else "traffic_light"
            out.write(f'<node id="{at["id"]}" x="{at["point"]["x"]}" y="{at["point"]["y"]}" type="{kind}"/>\n')
        out.write("</nodes>\n")
    with open(part("edg"), "w") as out:
        out.write("<edges>\n")
        for road in net["roads"]:
            ends = f'from="{road["startIntersection"]}" to="{road["endIntersection"]}"'
            speed = road["lanes"][0]["maxSpeed"]
            out.write(f'<edge id="{road["id"]}" {ends} numLanes="{lanes[road["id"]]}" speed="{speed}" width="4"/>\n')
        out.write("</edges>\n")
    connections, signals = [], []
    for at in net["intersections"]:
        if at["virtual"]:
            continue
        links = []
        for number, link in enumerate(at["roadLinks"]):
            start, end = link["startRoad"], link["endRoad"]
            for lane in link["laneLinks"]:
                pair = (lanes[start] - 1 - lane["startLaneIndex"], lanes[end] - 1 - lane["endLaneIndex"])
                links.append((number, f'from="{start}" to="{end}" fromLane="{pair[0]}" toLane="{pair[1]}"'))
        phases = []
        for phase in at["trafficLight"]["lightphases"]:
            may = set(phase["availableRoadLinks"])
            letter = lambda n: "G" if at["roadLinks"][n]["type"] == "go_straight" else "g"
            state = "".join(letter(number) if number in may else "r" for number, _ in links)
            phases.append(f'<phase duration="{phase["time"]}" state="{state}"/>')
        signals.append(f'<tlLogic id="{at["id"]}" type="static" programID="0" offset="0">{"".join(phases)}</tlLogic>')
        for place, (_, link) in enumerate(links):
            connections.append(f"<connection {link}/>")
            signals.append(f'<connection {link} tl="{at["id"]}" linkIndex="{place}"/>')
    with open(part("con"), "w") as out:
        out.write("<connections>\n" + "\n".join(connections) + "\n</connections>\n")
    with open(part("tll"), "w") as out:
        out.write("<tlLogics>\n" + "\n".join(signals) + "\n</tlLogics>\n")
    made = os.path.join(folder, "net.net.xml")
    peer.netconvert("-n", part("nod"), "-e", part("edg"), "-x", part("con"), "-i", part("tll"), "-o", made, "--no-turnarounds")
    return made, routes(load(flow), os.path.join(folder, "routes.rou.xml"))


def routes(flows, path):
    with open(path, "w") as out:
        out.write("<routes>\n")
        kind = flows[0]["vehicle"]
        out.write(
            f'<vType id="car" length="{kind["length"]}" minGap="{kind["minGap"]}" accel="{kind["usualPosAcc"]}" '
            f'decel="{kind["usualNegAcc"]}" tau="{kind["headwayTime"]}" sigma="0" maxSpeed="{kind["maxSpeed"]}" speedDev="0"/>\n'
        )
        for number, flow in enumerate(sorted(flows, key=lambda f: f["startTime"])):
            out.write(f'<vehicle id="{number}" type="car" depart="{flow["startTime"]}" departLane="best">')
            out.write(f'<route edges="{" ".join(flow["route"])}"/></vehicle>\n')
        out.write("</routes>\n")
    return path

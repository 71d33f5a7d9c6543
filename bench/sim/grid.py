"""A grid of signalised crossroads with its traffic, as SUMO files and as one of our scenarios.

`grid.make(20, folder)`: 20 by 20 crossroads 300 m apart, three lanes a direction, fixed-time signals by netconvert,
flows from edge to edge with routes by duarouter. Upstream: peer.py. Downstream: run.py.
"""
import os
import random
import subprocess

import peer


def make(side, folder, vehicles_per_s, end_s, flows, seed=1):
    """Writes net.net.xml, routes.rou.xml and scenario.toml; does nothing if they are there."""
    net = os.path.join(folder, "net.net.xml")
    routes = os.path.join(folder, "routes.rou.xml")
    scenario = os.path.join(folder, "scenario.toml")
    if not os.path.exists(scenario):
        os.makedirs(folder, exist_ok=True)
        network(side, folder, net)
        traffic(folder, net, routes, vehicles_per_s, end_s, flows, random.Random(seed))
        write_scenario(scenario, "net.net.xml", ["routes.rou.xml"], [], end_s, f"grid {side}")
    return net, routes, scenario


def network(side, folder, net):
    generated = os.path.join(folder, "plain.net.xml")
    options = ["--grid", "--grid.number", str(side), "--grid.length", "300", "--default.lanenumber", "3"]
    options += ["--default-junction-type", "traffic_light", "--default.speed", "13.89", "--no-turnarounds", "true"]
    subprocess.run([peer.tool("netgenerate"), *options, "-o", generated], check=True, stdout=subprocess.DEVNULL)
    # A place on Earth, which a generated grid has not: our importer asks for one.
    text = open(generated).read()
    projection = "+proj=utm +zone=32 +ellps=WGS84 +datum=WGS84 +units=m +no_defs"
    text = text.replace('projParameter="!"', f'projParameter="{projection}"')
    text = text.replace('netOffset="0.00,0.00"', 'netOffset="-683000.00,-4928000.00"')
    with open(net, "w") as out:
        out.write(text)


def traffic(folder, net, routes, vehicles_per_s, end_s, flows, draw):
    edges = []
    for line in open(net):
        if line.lstrip().startswith("<edge id=") and "function=" not in line:
            edges.append(line.split('id="', 1)[1].split('"', 1)[0])
    trips = os.path.join(folder, "trips.xml")
    with open(trips, "w") as out:
        out.write("<routes>\n")
        for number in range(flows):
            begin, end = draw.sample(edges, 2)
            out.write(f'<trip id="{number}" depart="0" from="{begin}" to="{end}"/>\n')
        out.write("</routes>\n")
    found = os.path.join(folder, "found.xml")
    command = [peer.tool("duarouter"), "-n", net, "-r", trips, "-o", found, "--ignore-errors", "--no-warnings"]
    subprocess.run([*command, "--no-step-log"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ways = [line.split('edges="', 1)[1].split('"', 1)[0] for line in open(found) if "<route " in line]
    period = max(1, round(len(ways) / vehicles_per_s))
    begins = sorted((draw.randrange(min(period, end_s)), way) for way in ways)
    with open(routes, "w") as out:
        out.write('<routes>\n<vType id="car" length="5" minGap="2.5" accel="2.6" decel="4.5" sigma="0.2" tau="1.3"/>\n')
        for number, (begin, way) in enumerate(begins):
            out.write(f'<flow id="f{number}" type="car" begin="{begin}" end="{end_s}" period="{period}" departLane="best">')
            out.write(f'<route edges="{way}"/></flow>\n')
        out.write("</routes>\n")


def write_scenario(path, network, files, programmes, end_s, description):
    """One of our scenarios over the same files."""
    listed = lambda names: "[" + ", ".join(f'"{name}"' for name in names) + "]"
    with open(path, "w") as out:
        out.write(f'description = "{description}"\nnetwork = "{network}"\nprogrammes = {listed(programmes)}\n')
        out.write(f"duration_min = {-(-end_s // 60)}\n[demand]\nfiles = {listed(files)}\n")

"""SUMO's side of the comparison: runs it, reads what it says, makes networks with netconvert.

Upstream: an installed SUMO (the wheel `eclipse-sumo`, or Debian's package). Downstream: grid.py, jinan.py, run.py.
"""
import os
import re
import resource
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree


def tool(name):
    """Path of a program of SUMO: from $SUMO_HOME/bin, the wheel, or the PATH."""
    places = []
    if "SUMO_HOME" in os.environ:
        places.append(os.path.join(os.environ["SUMO_HOME"], "bin", name))
    try:
        import sumo  # the wheel's package

        places.append(os.path.join(os.path.dirname(sumo.__file__), "bin", name))
    except ImportError:
        pass
    found = next((p for p in places if os.access(p, os.X_OK)), None) or shutil.which(name)
    if not found:
        raise SystemExit(f"there is no {name}: pip install eclipse-sumo, or apt-get install sumo")
    return found


def version():
    said = subprocess.run([tool("sumo"), "--version"], capture_output=True, text=True, check=True).stdout
    return said.splitlines()[0].strip()


def cpu_s():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(net, routes, additional, end_s, seed, work, fcd=False, edges=True):
    """Plays a scenario. Gives updates, CPU seconds, departures, mean seconds on the road, travel time by edge."""
    files = list(additional)
    edge_file = os.path.join(work, f"edges-{seed}.xml")
    if edges:
        asked = os.path.join(work, "edges.add.xml")
        with open(asked, "w") as out:
            out.write(f'<additional><edgeData id="e" file="{edge_file}" excludeEmpty="true"/></additional>')
        files.append(asked)
    command = [tool("sumo"), "-n", net, "-r", ",".join(routes), "-e", str(end_s), "--step-length", "1", "--seed", str(seed)]
    command += ["--no-step-log", "--no-warnings", "--duration-log.statistics", "--xml-validation", "never"]
    if files:
        command += ["-a", ",".join(files)]
    if fcd:
        command += ["--fcd-output", "/dev/null"]
    before = cpu_s()
    done = subprocess.run(command, capture_output=True, text=True, cwd=work, timeout=1200)
    used = cpu_s() - before
    said = done.stdout + done.stderr
    if done.returncode != 0:
        raise SystemExit(f"SUMO failed: {said[-600:]}")

    def number(pattern):
        found = re.search(pattern, said)
        return float(found.group(1)) if found else float("nan")

    wall_s = number(r"Performance:\s*\n\s*Duration: ([\d.]+)\s*s")
    updates, departed = number(r"UPS: ([\d.]+)") * wall_s, number(r"Inserted: (\d+)")
    return {
        "updates": updates,
        "cpu_s": used,
        # Of the steps alone, as SUMO says.
        "wall_s": wall_s,
        "departed": departed,
        "running": number(r"Running: (\d+)"),
        # As CityFlow's average travel time: seconds on the road by vehicle that entered, under way or not.
        "mean_s": updates / departed,
        "edges": read_edges(edge_file) if edges else {},
    }


def read_edges(path):
    """Seconds to pass an edge, and vehicles that left it, by edge."""
    edges = {}
    for edge in ElementTree.parse(path).getroot().iter("edge"):
        left = int(edge.get("left", 0)) + int(edge.get("arrived", 0))
        edges[edge.get("id")] = (float(edge.get("traveltime", "nan")), left)
    return edges


def netconvert(*options):
    subprocess.run([tool("netconvert"), *options, "--no-warnings"], check=True, stdout=subprocess.DEVNULL)

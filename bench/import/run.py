"""Measures `arterial network import` against Valhalla's `valhalla_build_tiles` on the same extracts.

Both read the extract and write their own road network to disk. Runs are interleaved, so that what else the machine
does falls on both; time and memory are what `/usr/bin/time -v` says of the whole process: CPU seconds (user + system),
wall seconds, peak resident memory. Valhalla builds with one thread and without elevation, time zones or admins.

usage: run.py --arterial BINARY --venv ENVIRONMENT_WITH_PYVALHALLA --runs 5 --out import.json EXTRACT…
"""

import argparse
import json
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path


def measured(command: list[str]) -> dict:
    """Runs a command under time(1)."""
    with tempfile.NamedTemporaryFile("r", suffix=".time") as said:
        run = subprocess.run(
            ["/usr/bin/time", "-v", "-o", said.name, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        if run.returncode != 0:
            sys.exit(f"{' '.join(command)} failed:\n{run.stderr[-2000:]}")
        text = said.read()

    def number(label: str) -> float:
        return float(re.search(rf"{label}[^\n]*: ([\d.]+)", text).group(1))

    wall = re.search(r"Elapsed \(wall clock\) time[^\n]*: ([\d:.]+)", text).group(1)
    wall_s = sum(float(part) * 60**i for i, part in enumerate(reversed(wall.split(":"))))
    return {
        "cpu_s": round(number("User time") + number("System time"), 3),
        "wall_s": wall_s,
        "peak_kib": int(number("Maximum resident set size")),
        "output": run.stdout,
    }


def valhalla_config(venv: Path, folder: Path) -> Path:
    tiles = folder / "tiles"
    tiles.mkdir()
    text = subprocess.run(
        [venv / "bin/valhalla_build_config", "--mjolnir-tile-dir", tiles, "--mjolnir-concurrency", "1"],
        check=True, stdout=subprocess.PIPE, text=True,
    ).stdout
    config = json.loads(text)
    # What is no street network: none of it is at hand, and none of it is charged.
    for key in ("admin", "timezone", "landmarks", "tile_extract", "traffic_extract", "transit_dir"):
        config["mjolnir"].pop(key, None)
    config["mjolnir"]["logging"] = {"type": "std_out", "color": False}
    path = folder / "valhalla.json"
    path.write_text(json.dumps(config))
    return path


def one_extract(extract: Path, arterial: Path, venv: Path, runs: int) -> dict:
    rows = {"arterial": [], "valhalla": []}
    counts = {}
    # The program itself: the command of that name is Python that starts it, which is not charged.
    build_tiles = next(venv.glob("lib/python3*/site-packages/valhalla/bin/valhalla_build_tiles"))
    for _ in range(runs):
        for who in rows:
            folder = Path(tempfile.mkdtemp(prefix="import-bench-"))
            try:
                if who == "arterial":
                    row = measured([str(arterial), "network", "import", str(extract), "--out", str(folder / "x.roads")])
                    counts = {
                        what: int(re.search(rf"{what}: (\d+)", row["output"]).group(1))
                        for what in ("segments", "ways kept", "nodes used by streets")
                    }
                else:
                    config = valhalla_config(venv, folder)
                    row = measured([str(build_tiles), "-c", str(config), str(extract)])
                row.pop("output")
                rows[who].append(row)
            finally:
                shutil.rmtree(folder)
    median = {
        who: {key: statistics.median(row[key] for row in rows[who]) for key in ("cpu_s", "wall_s", "peak_kib")}
        for who in rows
    }
    return {
        "extract": extract.name,
        "bytes": extract.stat().st_size,
        **counts,
        "median": median,
        "times_faster_cpu": round(median["valhalla"]["cpu_s"] / max(median["arterial"]["cpu_s"], 0.01), 1),
        "times_faster_wall": round(median["valhalla"]["wall_s"] / max(median["arterial"]["wall_s"], 0.01), 1),
        "cpu_s_per_million_nodes": round(median["arterial"]["cpu_s"] / counts["nodes used by streets"] * 1e6, 2),
        "runs": rows,
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--arterial", type=Path, required=True)
    arguments.add_argument("--venv", type=Path, required=True)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("extracts", type=Path, nargs="+")
    of = arguments.parse_args()
    processor = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    version = subprocess.run([of.venv / "bin/python", "-m", "pip", "show", "pyvalhalla"], stdout=subprocess.PIPE, text=True)
    result = {
        "machine": {"processor": processor.split(":")[1].strip(), "system": platform.platform()},
        "valhalla": re.search(r"Version: (\S+)", version.stdout).group(1),
        "runs": of.runs,
        "extracts": [one_extract(extract, of.arterial, of.venv, of.runs) for extract in of.extracts],
    }
    of.out.parent.mkdir(parents=True, exist_ok=True)
    of.out.write_text(json.dumps(result, indent=1) + "\n")
    for one in result["extracts"]:
        print(one["extract"], one["median"], one["times_faster_cpu"], "times faster")


if __name__ == "__main__":
    main()

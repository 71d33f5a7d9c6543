#!/usr/bin/env python3
"""A full city in real time: all cars drive, then one position a car and second goes to the embedded ingest.

    bench/sim/live.py TARGET_DIR [CARS] [SECONDS] [SEGMENTS]

TARGET_DIR holds release/arterial. The city fills over some seconds; nothing is counted before as many drive as were
asked for, or no more have come for a while (which is said). Prints events a second, the real-time factor, how far
behind it was at worst, what waited, ingest's fates, and the CPU of both. Upstream: the binary. Downstream: a person.
"""
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request

from publish import cpu_s, free_port, metrics, wait_for

# Seconds without a new highest number of cars after which the city counts as full, and for which it may fill at most.
SETTLED_S, FILL_MAX_S = 60, 900


def gauges(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as page:
        lines = (line.split(" ") for line in page.read().decode().splitlines() if line.startswith("arterial_sim_"))
        return {line[0].removeprefix("arterial_sim_"): float(line[1]) for line in lines}


def fill(port, cars):
    """Waits until all drive; gives how many do."""
    most, since, began = 0, time.monotonic(), time.monotonic()
    while True:
        now = gauges(port)["vehicles"]
        if now > most:
            most, since = now, time.monotonic()
        quiet = time.monotonic() - since > SETTLED_S or time.monotonic() - began > FILL_MAX_S
        if now >= cars or quiet:
            return int(now)
        time.sleep(1)


def run(arterial, cars, seconds, segments):
    mqtt, http, watched = free_port(), free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        network = os.path.join(folder, "city.roads")
        subprocess.run([arterial, "network", "generate", "--segments", str(segments), "--out", network], check=True)
        local = lambda port: f"127.0.0.1:{port}"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        ingest = subprocess.Popen(
            [arterial, "ingest", "--data", folder, "--listen", local(mqtt), "--http-listen", local(http)], **quiet
        )
        city = None
        try:
            wait_for(mqtt)
            words = ["sim", "--broker", local(mqtt), "--network", network, "--vehicles", str(cars), "--sensors", "exact"]
            city = subprocess.Popen([arterial, *words, "--metrics", local(watched)], **quiet)
            wait_for(watched)
            driving = fill(watched, cars)
            before, began = gauges(watched), time.monotonic()
            cpu = [cpu_s(ingest.pid), cpu_s(city.pid)]
            behind_s, unsent, least = 0.0, 0.0, float("inf")
            while time.monotonic() - began < seconds:
                now = gauges(watched)
                behind_s, unsent = max(behind_s, now["behind_seconds"]), max(unsent, now["unsent_messages"])
                least = min(least, now["vehicles"])
                time.sleep(1)
            after, took = gauges(watched), time.monotonic() - began
            cpu = [cpu_s(pid) - was for pid, was in zip((ingest.pid, city.pid), cpu)]
            fates = metrics(http)
        finally:
            for one in (city, ingest):
                if one:
                    one.terminate()
                    one.wait()
    of = lambda name: after[name] - before[name]
    print(
        json.dumps(
            {
                "cars_asked": cars,
                "cars_driving_at_begin": driving,
                "cars_driving_at_least": int(least),
                "seconds": round(took, 1),
                "events_per_s": round(of("events_total") / took),
                "simulated_per_wall_s": round(of("event_time_timestamp_seconds") / took, 3),
                "most_behind_s": round(behind_s, 2),
                "most_unsent_messages": int(unsent),
                "held_back_s": round(of("held_back_seconds"), 2),
                "ingest_cores": round(cpu[0] / took, 2),
                "city_cores": round(cpu[1] / took, 2),
                "load": os.getloadavg(),
                "fates": fates,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[2:]] + [100_000, 60, 60_000][len(sys.argv) - 2 :]
    run(os.path.join(sys.argv[1], "release/arterial"), *numbers)

#!/usr/bin/env python3
"""Costs of measuring, encoding and publishing, and whether the embedded ingest keeps up.

    bench/sim/publish.py TARGET_DIR [CARS] [SECONDS] [CONNECTIONS]

TARGET_DIR holds release/arterial and release/examples/publish (`cargo build --release --workspace --examples`).
Prints instructions per car-second (valgrind's callgrind: differences of two runs, so that starting is not counted),
then publishes one position per car and second to `arterial ingest` on this machine, paced to the wall clock, and prints
CPU shares of both sides. One core is 100 %.
"""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

target = sys.argv[1]
cars = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
seconds = int(sys.argv[3]) if len(sys.argv) > 3 else 60
connections = int(sys.argv[4]) if len(sys.argv) > 4 else 2
publish = os.path.join(target, "release/examples/publish")
arterial = os.path.join(target, "release/arterial")


def instructions(*words):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", publish, *map(str, words)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    return int(re.search(r"Collected : (\d+)", said).group(1))


def per_car_second(mode, *rest, count=2_000):
    """The slope over seconds, 10 against 40."""
    few, many = (instructions(mode, count, s, *rest) for s in (10, 40))
    return (many - few) / (30 * count)


def costs():
    moved = per_car_second("move")
    unsampled = per_car_second("sense", 0)
    sampled = per_car_second("sense", 100)
    encoded = per_car_second("encode")
    print("instructions per car-second")
    print(f"  a car that does not report  {unsampled - moved:7.1f}")
    print(f"  a report, measured exactly  {sampled - unsampled:7.1f}")
    print(f"  its JSON, in batches        {encoded - sampled:7.1f}")


def cpu_s(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(port):
    for _ in range(200):
        with socket.socket() as caller:
            if caller.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("arterial ingest does not listen")


def metrics(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as page:
        lines = page.read().decode().splitlines()
    return [line for line in lines if line.startswith(("arterial_ingest_received_total", "arterial_ingest_events_total"))]


def run(how):
    mqtt, http = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        ingest = subprocess.Popen(
            [arterial, "ingest", "--data", folder, "--listen", f"127.0.0.1:{mqtt}", "--http-listen", f"127.0.0.1:{http}"],
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(mqtt)
            before, began = cpu_s(ingest.pid), time.monotonic()
            sender = subprocess.Popen(
                [publish, "broker", f"127.0.0.1:{mqtt}", str(cars), str(seconds), str(connections), *how],
                stdout=subprocess.PIPE,
                text=True,
            )
            said = sender.stdout.read()
            _, status, usage = os.wait4(sender.pid, 0)
            sender.returncode = status
            took = time.monotonic() - began
            stored = cpu_s(ingest.pid) - before
            fates = metrics(http)
        finally:
            ingest.terminate()
            ingest.wait()
    if status != 0:
        raise SystemExit("publishing failed")
    sent = usage.ru_utime + usage.ru_stime
    result = json.loads(said)
    print(f"{cars} cars, {seconds} s, {connections} connections, {how[0] if how else 'exact'}: took {took:.1f} s")
    print(f"  publishing {100 * sent / took:.0f} % of a core, ingest {100 * stored / took:.0f} %")
    print("  " + ", ".join(f"{name} {value}" for name, value in result.items()))
    print("  " + ", ".join(fates))


if __name__ == "__main__":
    costs()
    for how in ([], ["lifelike"]):
        run(how)

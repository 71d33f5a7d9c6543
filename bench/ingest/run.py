#!/usr/bin/env python3
"""Ingest beside mosquitto with a bare subscriber: interleaved runs, medians, raw numbers.

Every round runs every cell once, one after the other, so that a busy moment of the machine hits all of them. A cell is
a server (ours, or mosquitto with its subscriber) under the load generator; the generator shares the cores with it. CPU
is that of the server's processes alone (user and system, from /proc), over the messages acknowledged or received.
Writes OUT.csv (every run) and prints the table of medians in Markdown.
"""
import argparse, csv, json, os, pathlib, shutil, signal, socket, statistics, subprocess, sys, time

TICKS = os.sysconf("SC_CLK_TCK")
PEER = "mosquitto → rumqttc"
# name: connections, window, burst, events a message, bytes an event
SHAPES = {
    "pipelined": (16, 2_000, 32, 1, 200),
    "fleet": (1_000, 8, 1, 1, 200),
    "batches": (16, 200, 4, 100, 130),
    "broker": (16, 2_000, 32, 1, 200),
}
# What may be under way between a publisher and the subscriber behind a broker, messages.
LAG = {"pipelined": 5_000, "fleet": 8_000, "batches": 500, "broker": 20_000}


def cpu_s(processes):
    total = 0.0
    for process in processes:
        fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def peak_mib(processes):
    kib = 0
    for process in processes:
        for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                kib += int(line.split()[1])
    return kib / 1024


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until_open(port, process):
    for _ in range(500):
        if process.poll() is not None:
            sys.exit(f"{process.args} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.02)
    sys.exit(f"nothing listens at {port}")


class Bench:
    def __init__(self, args):
        self.args = args
        self.work = pathlib.Path(args.work)
        self.work.mkdir(parents=True, exist_ok=True)
        self.counter = self.work / "counter"
        self.time_ms = 1_000_000_000_000

    def start(self, command):
        with open(self.work / "log", "a") as log:
            return subprocess.Popen([str(part) for part in command], stdout=log, stderr=log)

    def mosquitto(self):
        port = free_port()
        config = self.work / "mosquitto.conf"
        config.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 8192\n"
            "max_queued_messages 1000000\nlog_type error\n"
        )
        process = self.start([shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", config])
        until_open(port, process)
        return process, port

    def ours(self, *broker):
        shutil.rmtree(self.work / "data", ignore_errors=True)
        port = free_port()
        command = [self.args.bench, "serve", self.work / "data", port, *broker]
        if self.args.arterial and not broker:
            http = f"127.0.0.1:{free_port()}"
            data = self.work / "data"
            command = [self.args.arterial, "ingest", "--data", data, "--listen", f"127.0.0.1:{port}", "--http-listen", http]
        process = self.start(command)
        if not broker:
            until_open(port, process)
        return process, port

    def reset_counter(self):
        self.counter.write_bytes(bytes(8))

    def load(self, port, shape, rate=0, lag=None, seconds=None):
        connections, window, burst, batch, size = SHAPES[shape]
        self.time_ms += 100_000_000
        command = [self.args.bench, "load", f"127.0.0.1:{port}", connections, window, burst, batch, size]
        command += [seconds or self.args.seconds, rate, self.time_ms]
        # What an earlier load left in the counter is not under way.
        command += [self.counter, lag] if lag else []
        done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, timeout=120, check=True)
        return json.loads(done.stdout)

    def run(self, shape, who, rate=0):
        """One run; rate in messages a second."""
        processes, port, lag = [], None, None
        self.reset_counter()
        try:
            if who == "arterial" and shape != "broker":
                process, port = self.ours()
                processes = [process]
            else:
                broker, port = self.mosquitto()
                lag = LAG[shape]
                if who == "arterial":
                    client, _ = self.ours(port, self.counter)
                else:
                    version = 5 if shape == "broker" else 4
                    client = self.start([self.args.bench, "subscribe", port, self.counter, version])
                processes = [client, broker]
                time.sleep(0.7)
            # Both sides grow their memory first; what is measured is how they go on.
            self.load(port, shape, rate, lag, seconds=1.5)
            if lag:
                time.sleep(0.3)
            already = int.from_bytes(self.counter.read_bytes(), "little")
            before = [cpu_s([process]) for process in processes]
            result = self.load(port, shape, rate, lag)
            if lag:
                time.sleep(0.3)
            spent = [cpu_s([process]) - was for process, was in zip(processes, before)]
            messages = int.from_bytes(self.counter.read_bytes(), "little") - already if lag else result["acked"]
            events = messages * SHAPES[shape][3]
            return {
                "shape": shape, "who": who, "rate_asked": round(rate), "events": events, "seconds": result["seconds"],
                "events_per_s": round(events / result["seconds"]), "cpu_us_per_event": round(sum(spent) / events * 1e6, 4),
                "client_cpu_us_per_event": round(spent[0] / events * 1e6, 4), "p50_ms": result["p50_ms"],
                "p99_ms": result["p99_ms"], "peak_mib": round(peak_mib(processes), 1),
                "lost": result["sent"] - messages if not lag else "",
            }
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM if process is processes[0] and not lag else signal.SIGKILL)
            for process in processes:
                process.wait(30)

    def idle(self, connections=5_000):
        """Memory of a connection that says hello and then nothing, KiB."""
        process, port = self.ours()
        try:
            def rss():
                lines = pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines()
                return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
            before, held = rss(), []
            for n in range(connections):
                s = socket.create_connection(("127.0.0.1", port))
                name = b"idle-%d" % n
                s.sendall(bytes([0x10, 12 + len(name), 0, 4]) + b"MQTT" + bytes([4, 2, 0, 0, 0, len(name)]) + name)
                held.append(s)
            for s in held:
                assert s.recv(4) == b"\x20\x02\x00\x00"
            kib = (rss() - before) / connections
            for s in held:
                s.close()
            return round(kib, 2)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", required=True, help="the example ingest-bench, release build")
    parser.add_argument("--arterial", help="the product's binary; else the bare server of the example")
    parser.add_argument("--work", default="/tmp/ingest-bench")
    parser.add_argument("--out", help="CSV of all runs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--shapes", default="pipelined,fleet,batches,broker")
    parser.add_argument("--ours-only", action="store_true")
    parser.add_argument("--no-latency", action="store_true")
    args = parser.parse_args()
    bench = Bench(args)
    shapes = args.shapes.split(",")
    runs = []
    for round_ in range(args.rounds):
        for shape in shapes:
            for who in ["arterial"] if args.ours_only else ["arterial", PEER]:
                run = bench.run(shape, who)
                runs.append(run)
                print(round_, run, file=sys.stderr, flush=True)
        if not args.no_latency:
            for shape in [s for s in ("pipelined", "fleet") if s in shapes]:
                full = statistics.median(r["events_per_s"] for r in runs if (r["shape"], r["who"], r["rate_asked"]) == (shape, "arterial", 0))
                run = bench.run(shape, "arterial", rate=full / 2)
                runs.append(run)
                print(round_, run, file=sys.stderr, flush=True)
    if args.out:
        with open(args.out, "w", newline="") as out:
            writer = csv.DictWriter(out, runs[0].keys())
            writer.writeheader()
            writer.writerows(runs)
    print(f"Idle connection: {bench.idle()} KiB of the server's memory (5,000 of them).\n")
    print("| shape | who | load | events/s | CPU µs/event | its client alone | p50 ms | p99 ms | peak MiB | runs |\n|---|---|---|---|---|---|---|---|---|---|")
    cells = dict.fromkeys((r["shape"], r["who"], r["rate_asked"] > 0) for r in runs)
    for shape, who, paced in cells:
        rows = [r for r in runs if (r["shape"], r["who"], r["rate_asked"] > 0) == (shape, who, paced)]
        median = lambda key: statistics.median(r[key] for r in rows if r[key] is not None) if any(r[key] is not None for r in rows) else float("nan")
        latency = f"{median('p50_ms'):.1f} | {median('p99_ms'):.1f}" if paced else "– | –"
        print(f"| {shape} | {who} | {'half' if paced else 'full'} | {median('events_per_s'):,.0f} | {median('cpu_us_per_event'):.3f} | {median('client_cpu_us_per_event'):.3f} | {latency} | {median('peak_mib'):.0f} | {len(rows)} |")
    for shape in [] if args.ours_only else shapes:
        # Ratios within a round: both sides met the same machine.
        pairs = [[r for r in runs if (r["shape"], r["who"], r["rate_asked"]) == (shape, who, 0)] for who in ("arterial", PEER)]
        rate = statistics.median(a["events_per_s"] / b["events_per_s"] for a, b in zip(*pairs))
        cpu = statistics.median(a["cpu_us_per_event"] / b["cpu_us_per_event"] for a, b in zip(*pairs))
        print(f"\n{shape}: {rate:.2f} times the peer's rate, {cpu:.3f} times its CPU per event (medians of the rounds' ratios)")


main()

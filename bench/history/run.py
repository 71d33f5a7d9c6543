"""Questions about history, asked of `arterial report` and of DuckDB on the same files in turns; numbers as JSON.

usage: run.py ARTERIAL GENERATOR PYTHON WORK OUT_JSON [SEGMENTS FROM TO [ROUNDS]]

ARTERIAL is the release binary, GENERATOR the program of `cargo build --release --workspace --example history_archive`,
PYTHON has duckdb installed. WORK gets the archive once (20,000 segments need about 40 MB a day). Every question is a new
process on both sides, with the files' pages dropped from the cache before it (posix_fadvise DONTNEED; that of the
network's file too). CPU seconds are of the whole process (start, network, question); `question` seconds are of the question
alone, wall clock, as each side tells them; DuckDB's begin after its import.
"""
import contextlib
import glob
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import datetime

HERE = os.path.dirname(os.path.abspath(__file__))


def drop(folder):
    """Drops what is cached of a folder's files; what is dirty is written first."""
    for path, _, names in os.walk(folder):
        for name in names:
            handle = os.open(os.path.join(path, name), os.O_RDONLY)
            os.fsync(handle)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)


def asked(folder, command):
    """CPU seconds of the process, and what it said of itself (last line of standard error: words and numbers)."""
    drop(folder)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    words = done.stderr.strip().splitlines()[-1].split()
    said = {name: float(value) for name, value in zip(words[::2], words[1::2])}
    return {"cpu_s": round(cpu, 4), **said}, done.stdout


def main():
    arterial, generator, python, work, out = sys.argv[1:6]
    segments, first, last = (sys.argv[6:9] + ["20000", "2026-06-01", "2026-08-31"][len(sys.argv[6:9]):])
    rounds = int(sys.argv[9]) if len(sys.argv) > 9 else 3
    archive = os.path.join(work, "archive")
    made = None
    if not os.path.isdir(archive):
        made = subprocess.run([generator, work, segments, first, last], check=True, capture_output=True, text=True).stdout
    common = ["--archive", archive, "--network", os.path.join(work, "city.roads"), "--timing", "--format", "json"]
    with open(os.path.join(work, "berlin.toml"), "w", encoding="utf-8") as text:
        text.write('zone = "Europe/Berlin"\n')
    common += ["--calendar", os.path.join(work, "berlin.toml")]
    # The tables beside the archive are made once, and that is measured too.
    begin = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([arterial, "report", "update", "--from", first, "--to", last, *common], check=True)
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    tables_cpu_s = end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime
    day = datetime.date.fromisoformat
    days = (day(last) - day(first)).days + 1
    quarter = str(max(day(first), day(last) - datetime.timedelta(89)))
    middle = day(last) - datetime.timedelta(30)
    before = f"{max(day(first), middle - datetime.timedelta(30))}..{middle - datetime.timedelta(1)}"
    after = f"{middle}..{last}"
    places = json.loads(subprocess.run(
        [arterial, "report", "ranking", "--before", before, "--after", after, "--top", "1", *common],
        check=True, capture_output=True, text=True).stdout)
    corridor = places["rows"][0]["place"]["id"]
    ids = subprocess.run([arterial, "report", "ranking", "--kind", "segment", "--from", first, "--to", last, "--top", "1",
                          *common], check=True, capture_output=True, text=True).stdout
    segment = json.loads(ids)["rows"][0]["place"]["id"]
    questions = {
        "segment_90_days": (["typical-day", "--segment", segment, "--from", quarter, "--to", last], ["segment", segment, quarter, last]),
        "corridor_90_days": (["typical-day", "--corridor", corridor, "--from", quarter, "--to", last],
                             ["path", os.path.join(work, "corridor.txt"), quarter, last]),
        "corridor_before_after": (["compare", "--corridor", corridor, "--before", before, "--after", after],
                                  ["corridor", os.path.join(work, "corridor.txt"), before.split("..")[0], last,
                                   middle.isoformat()]),
        "city_ranking_typical": (["ranking", "--kind", "segment", "--from", first, "--to", last, "--top", "50"],
                                 ["typical", "all", first, last]),
        "city_ranking_change": (["ranking", "--kind", "segment", "--before", before, "--after", after, "--top", "50"],
                                ["change", middle.isoformat(), before.split("..")[0], last]),
    }
    corridor_segments(arterial, work, corridor)
    raw, load = [], []
    for turn in range(rounds):
        load.append(os.getloadavg()[0])
        for name, (ours, theirs) in questions.items():
            folder = work
            told, _ = asked(folder, [arterial, "report", *ours, *common])
            raw.append({"question": name, "turn": turn, "side": "arterial", **told})
            told, _ = asked(folder, [python, os.path.join(HERE, "peer.py"), archive, *theirs])
            raw.append({"question": name, "turn": turn, "side": "duckdb", **told})
        # As on the last day of a month that is not over: its table is not there, and its days are read from the cells.
        with put_aside(archive, last[:7]):
            told, _ = asked(work, [arterial, "report", *questions["segment_90_days"][0], *common])
        raw.append({"question": "segment_90_days_month_open", "turn": turn, "side": "arterial", **told})
    size = sum(os.path.getsize(os.path.join(p, n)) for p, _, names in os.walk(archive) if "cells_5min" in p for n in names)
    report = {
        "machine": platform.processor() or platform.machine(), "cores": os.cpu_count(), "load": load, "made": made,
        "segments": int(segments), "from": first, "to": last, "days": days, "cells_bytes": size,
        "tables_cpu_s": round(tables_cpu_s, 2), "corridor": corridor, "segment": segment,
        "duckdb": subprocess.run([python, "-c", "import duckdb; print(duckdb.__version__)"], check=True,
                                 capture_output=True, text=True).stdout.strip(),
        "medians": medians(raw), "raw": raw,
    }
    with open(out, "w", encoding="utf-8") as text:
        json.dump(report, text, indent=1)
        text.write("\n")
    print(json.dumps({k: report[k] for k in ("load", "days", "cells_bytes", "tables_cpu_s", "medians")}, indent=1))


@contextlib.contextmanager
def put_aside(archive, month):
    """Lets an archive be without the table of a month for a while."""
    folders = glob.glob(os.path.join(archive, f"profile/quarters/city=*/month={month}"))
    aside = [os.path.join(archive, f"quarters-aside-{at}") for at, _ in enumerate(folders)]
    for folder, to in zip(folders, aside):
        os.rename(folder, to)
    try:
        yield
    finally:
        for folder, to in zip(folders, aside):
            os.rename(to, folder)


def corridor_segments(arterial, work, corridor):
    """The corridor's segments as the archive names them, for DuckDB."""
    path = os.path.join(work, "corridor.txt")
    ids = subprocess.run([arterial, "report", "segments", "--archive", os.path.join(work, "archive"), "--network",
                          os.path.join(work, "city.roads"), "--corridor", corridor], check=True, capture_output=True, text=True)
    with open(path, "w", encoding="utf-8") as text:
        text.write(ids.stdout)


def medians(raw):
    found = {}
    for row in raw:
        of = found.setdefault(row["question"], {}).setdefault(row["side"], {})
        for key in ("cpu_s", "question_ms", "open_ms"):
            if key in row:
                of.setdefault(key, []).append(row[key])
    middle = {q: {s: {k: statistics.median(v) for k, v in of.items()} for s, of in sides.items()} for q, sides in found.items()}
    for sides in middle.values():
        if "duckdb" not in sides:
            continue
        a, d = sides["arterial"], sides["duckdb"]
        sides["duckdb_over_arterial"] = {k: round(d[k] / a[k], 2) for k in ("cpu_s", "question_ms") if a.get(k)}
    return middle


if __name__ == "__main__":
    main()

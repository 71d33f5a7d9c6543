"""The same questions in SQL, for DuckDB.
usage: peer.py ARCHIVE segment|path|cells|corridor|typical|change WHICH FROM TO [MIDDLE]

WHICH is a segment (also of `cells`), a file of segments, nothing, or the first day after; MIDDLE that day for a corridor.
Says `question_ms N` on standard error. It is given the files of the days that are asked for, as we give them to ourselves:
the tables of months for a typical week, those of hours or of weekdays for the rest; `cells` asks the cells for that week, with
weekdays of UTC, which is less work than a city's clock. It reads only.
"""
import datetime
import glob
import os
import sys
import time

import duckdb


def day_files(pattern, archive, first, last):
    one, end = datetime.date.fromisoformat(first), datetime.date.fromisoformat(last)
    found = []
    while one <= end:
        found += glob.glob(os.path.join(archive, pattern.format(one)))
        one += datetime.timedelta(1)
    return found


def months(pattern, archive, first, last):
    """Files of every month that a stretch touches."""
    one, end = (datetime.date.fromisoformat(day).replace(day=1) for day in (first, last))
    found = []
    while one <= end:
        found += glob.glob(os.path.join(archive, pattern.format(f"{one:%Y-%m}")))
        one = (one + datetime.timedelta(32)).replace(day=1)
    return found


def signed(segment):
    """A segment's 64 bits as the archive has them."""
    value = int(segment, 16)
    return value - (1 << 64) if value >= 1 << 63 else value


def listed(path):
    with open(path, encoding="utf-8") as text:
        return [int(line) for line in text]


def main():
    archive, what, which, first, last = sys.argv[1:6]
    db = duckdb.connect()
    begin = time.perf_counter()
    cells = "cells_5min/city=*/date={}/*.parquet"
    if what in ("segment", "path"):
        ids = [signed(which)] if what == "segment" else listed(which)
        files = months("profile/quarters/city=*/month={}/*.parquet", archive, first, last)
        days = [(datetime.date.fromisoformat(day) - datetime.date(1970, 1, 1)).days for day in (first, last)]
        rows = db.execute(f"""
            with slots as (
                select day, quarter, sum(distance_mm) as d, sum(time_ms) as t, sum(delay_ms) as lost
                from read_parquet({files}, hive_partitioning = false)
                where segment in ({','.join(map(str, ids))}) and day between {days[0]} and {days[1]} group by day, quarter)
            select (day + 3) % 7 + 1 as weekday, quarter, quantile_cont(t / d, [0.1, 0.5, 0.9]), avg(lost), count(*)
            from slots group by all""").fetchall()
    elif what == "cells":
        ids = [signed(which)]
        files = day_files(cells, archive, first, last)
        rows = db.execute(f"""
            with days as (
                select segment, start_utc::date as day, date_trunc('hour', start_utc) as hour,
                       (extract('minute' from start_utc)::int // 15) as quarter,
                       sum(distance_mm) as d, sum(time_ms) as t, sum(delay_ms) as lost
                from read_parquet({files}, hive_partitioning = false) where segment in ({','.join(map(str, ids))})
                group by all)
            select isodow(day), extract('hour' from hour), quarter, quantile_cont(t / d, [0.1, 0.5, 0.9]), avg(lost), count(*)
            from days group by all""").fetchall()
    elif what == "corridor":
        ids = listed(which)
        files = day_files("profile/hours/city=*/date={}/*.parquet", archive, first, last)
        middle = (datetime.date.fromisoformat(sys.argv[6]) - datetime.date(1970, 1, 1)).days
        rows = db.execute(f"""
            with hours as (
                select day, hour, sum(length_mm::double * time_ms / distance_mm) as travel, sum(delay_ms) as lost
                from read_parquet({files}, hive_partitioning = false)
                where segment in ({','.join(map(str, ids))}) and distance_mm > 0 group by day, hour),
            days as (select day, avg(travel) as travel, sum(lost) as lost from hours group by day)
            select day % 7 as weekday, avg(travel) filter (day < {middle}) as b, avg(travel) filter (day >= {middle}) as a,
                   stddev(travel) filter (day < {middle}) as sb, stddev(travel) filter (day >= {middle}) as sa,
                   avg(lost) filter (day >= {middle}) - avg(lost) filter (day < {middle}) as more
            from days group by weekday""").fetchall()
    elif what == "typical":
        files = months("profile/weekdays/city=*/month={}/*/*.parquet", archive, first, last)
        rows = db.execute(f"""
            select segment, sum(distance_mm) as d, sum(time_ms) as t, sum(delay_ms) as lost, max(vehicles_min)
            from read_parquet({files}, hive_partitioning = false) group by segment order by lost desc limit 50""").fetchall()
    else:
        files = day_files("profile/hours/city=*/date={}/*.parquet", archive, first, last)
        middle = (datetime.date.fromisoformat(which) - datetime.date(1970, 1, 1)).days
        rows = db.execute(f"""
            with days as (
                select segment, day, sum(distance_mm) as d, sum(time_ms) as t, sum(delay_ms) as lost, max(vehicles_min) as k,
                       avg(case when distance_mm >= 0.8 * length_mm then time_ms::double / distance_mm end) as pace
                from read_parquet({files}, hive_partitioning = false) group by segment, day)
            select segment, avg(pace) filter (day < {middle}) as b, avg(pace) filter (day >= {middle}) as a,
                   stddev(pace) filter (day < {middle}) as sb, stddev(pace) filter (day >= {middle}) as sa,
                   avg(lost) filter (day >= {middle}) - avg(lost) filter (day < {middle}) as more
            from days group by segment order by more desc limit 50""").fetchall()
    print(f"rows {len(rows)} question_ms {(time.perf_counter() - begin) * 1e3:.1f}", file=sys.stderr)


if __name__ == "__main__":
    main()

"""Polars on the contributions and the panes that `analytics/benches/panes.rs` writes; a line of CPU seconds a query.

usage: polars_peer.py FOLDER [all|add|tick]

add: FOLDER/contributions.parquet by segment and pane: the research's bare query (sums only), the same with distinct
vehicles, the same with quantiles of speed. tick: FOLDER/minutes.parquet, 15 panes merged (sums only). Reading is not
counted. POLARS_MAX_THREADS is the caller's.
"""
import resource
import sys

import polars as pl


def cpu_s():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def timed(name, query, engine):
    begin = cpu_s()
    rows = query.collect(engine=engine).height
    print(f"{name} {engine} rows {rows} cpu_s {cpu_s() - begin:.4f}", flush=True)


def sums():
    return [pl.len(), pl.col("distance_mm").sum(), pl.col("time_ms").sum()]


def speeds():
    speed = pl.col("distance_mm") / pl.col("time_ms")
    return [speed.quantile(q).alias(f"q{q}") for q in (0.15, 0.50, 0.85)]


def main():
    folder, what = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "all"
    if what in ("all", "add"):
        table = pl.read_parquet(f"{folder}/contributions.parquet")
        grouped = table.lazy().group_by("segment", "pane_ms")
        timed("add", grouped.agg(sums()), "streaming")
        timed("add_distinct", grouped.agg(sums() + [pl.col("vehicle").n_unique()]), "streaming")
        timed("add_quantiles", grouped.agg(sums() + speeds()), "streaming")
        del table, grouped
    if what in ("all", "tick"):
        table = pl.read_parquet(f"{folder}/minutes.parquet")
        merged = table.lazy().group_by("segment").agg(
            pl.col("events").sum(), pl.col("distance_mm").sum(), pl.col("time_ms").sum())
        for engine in ("streaming", "in-memory"):
            timed("tick", merged, engine)


if __name__ == "__main__":
    main()

#!/bin/sh
# A day of 20,000 segments into history: CPU seconds, bytes of a row, and the load that the machine had meanwhile.
# The first line is the busiest case there is (every segment is driven in every minute of the day: 28.8 million rows), the
# second one a third of that. Figures of CPU time hold on a busy machine too; times on the wall are not told.
#
# usage: bench/history/ingest.sh          from the root of the checkout
set -eu
for share in 100 33; do
    CARGO_INCREMENTAL=1 cargo bench --workspace --bench archive -- 20000 "$share"
done

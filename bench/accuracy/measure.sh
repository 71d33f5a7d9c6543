#!/bin/sh
# Every figure of docs/accuracy*.md in one go: measure.sh FOLDER. Wants a release build of `arterial` and its tests, and
# ARTERIAL_DATA for the recordings. Some 20 minutes on two quiet cores.
set -eu
out=${1:?where the figures go}
arterial=${ARTERIAL:-target/release/arterial}
mkdir -p "$out"
say() { echo "== $*"; "$@"; }
{
    date -u; uname -mr; uptime
    say "$arterial" verify --probes 100% --duration-s 600 --vehicles 800 --incidents 0
    say "$arterial" verify --probes 100% --noise-m 5 --duration-s 600 --vehicles 800 --incidents 0
    say "$arterial" verify --probes 1%,2%,5%,10%,20%,100% --seeds 4 --vehicles 1000 --duration-s 900 --incidents 4 \
        --plot "$out/accuracy.svg"
    say "$arterial" incidents --seeds 30 --learn-hours 8
    say cargo test --release --workspace --test it -- --nocapture truth:: bologna loops:: explain::
    ARTERIAL_ANALYTICS_KILLS=50
    export ARTERIAL_ANALYTICS_KILLS
    say cargo test --release --workspace --test it -- --nocapture analytics_killed
} 2>&1 | tee "$out/figures.txt"

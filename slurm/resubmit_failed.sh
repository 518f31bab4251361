#!/usr/bin/env bash
# Submit again what failed or got lost of a run, from its checkpoints, and what waits for it. What is done stays; while
# jobs of the run are at work this refuses, so that nothing runs twice.
#
#   slurm/resubmit_failed.sh RUN [further options of sbatch, e.g. --mem=128G --time=600]
set -euo pipefail
if (($# == 0)) || [[ $1 == -* ]]; then
    sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
run=$1
shift
exec "$here/launch.sh" "$run/config.yaml" "$@"

#!/usr/bin/env bash
# Submit what is missing of an experiment to Slurm, in plain bash: one job that prepares the data, an array with a task
# a day, one job that finishes. They leave the same run folder as `distdnas launch`, and `distdnas status`, `resubmit`
# and `cancel` work on it.
#
#   slurm/launch.sh CONFIG [further options of sbatch, e.g. --reservation=course]
set -euo pipefail
if (($# == 0)) || [[ $1 == -* ]]; then
    sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
config=$1
shift
told=$(distdnas init "$config")
mapfile -t lines <<<"$told"
run=${lines[0]} prepare=${lines[1]} days=${lines[2]} finish=${lines[3]} after=${lines[4]}
gres=${lines[5]:+--gres=${lines[5]}}
options=("${lines[@]:6}" --requeue --open-mode=append --kill-on-invalid-dep=yes "$@")

# Submit a script after others: submit NAME AFTER SCRIPT-OPTION...; prints the job's id.
submit() {
    local name=$1 dependency=$2
    shift 2
    sbatch --parsable --job-name="${run##*/}/$name" --output="$run/slurm/$name.%A_%a.log" \
        ${dependency:+--dependency="$dependency"} "${options[@]}" "$@"
}

waits_for=
if [[ $prepare ]]; then
    job=$(submit prepare '' ${gres:+"$gres"} "$here/prepare.sbatch")
    waits_for=afterok:$job
    echo "prepare: job $job"
fi
if [[ $days ]]; then
    job=$(submit search "$waits_for" ${gres:+"$gres"} --array="$days" "$here/search_array.sbatch")
    waits_for=$after:$job${waits_for:+,$waits_for}
    echo "search: job $job, days $days"
fi
if [[ $finish ]]; then
    job=$(submit finish "$waits_for" ${gres:+"$gres"} "$here/finish.sbatch")
    echo "finish: job $job"
fi
[[ $prepare$days$finish ]] || echo "Nothing is missing."
echo "Look with: distdnas status $run"

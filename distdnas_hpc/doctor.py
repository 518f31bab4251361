"""Look over an experiment before it costs anything: data, disk, memory, time, torch and Slurm, a line each."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from distdnas_hpc import estimate, pipeline
from distdnas_hpc.cluster.slurm_checks import Check, check_slurm, probe
from distdnas_hpc.config import Config
from distdnas_hpc.data.inspect import describe, verify_days
from distdnas_hpc.data.manifest import MANIFEST
from distdnas_hpc.data.prepare import check_raw
from distdnas_hpc.errors import UserError
from distdnas_hpc.progress import Progress
from distdnas_hpc.report.timeline import duration

VERIFIED_BYTES = 4_000_000_000
"""Prepared data of up to so many bytes is compared with its checksums; of more, files are only looked for."""


def examine(config: Config, progress: Progress, *, probing: bool) -> Iterator[Check]:
    """Yield the checks, as they are made.

    Parameters
    ----------
    progress : told of what takes long.
    probing : also run a job that says what a node sees; it waits in the queue.

    Raises
    ------
    UserError : a probe is asked for, but tasks don't run on Slurm.
    """
    if probing and config.cluster.executor != "slurm":
        raise UserError("--probe runs a job on Slurm, but cluster.executor is not 'slurm'; leave it out.")
    data = _check_data(config, progress)
    yield data
    folder = _check_folder(config)
    yield folder
    if data.verdict != "problem":
        rows = estimate.count_rows(config)
        yield Check("rows", "ok", f"{sum(rows.of_day.values()):,} in {len(rows.of_day)} days, by {rows.source}")
        yield _check_disk(config, rows)
        yield _check_memory(config, rows)
        yield from _check_time(config, rows)
    yield _check_torch(config)
    if config.cluster.executor == "slurm":
        yield from check_slurm(config, {stage.name: len(stage.tasks) for stage in pipeline.stages(config)})
        if probing and folder.verdict != "problem":
            yield from probe(config, _first_existing(config.run))


def _check_data(config: Config, progress: Progress) -> Check:
    prepared = config.prepared_folder
    try:
        if not (prepared / MANIFEST).is_file():
            check_raw(config.data)
            return Check("data", "ok", "each raw file is there and starts with faultless rows")
        size = describe(prepared)["bytes"]
        if size > VERIFIED_BYTES:
            told = f"prepared, {_bytes(size)}; compare checksums with: distdnas prepare CONFIG --verify"
            return Check("data", "ok", told)
        verify_days(prepared, progress)
        return Check("data", "ok", f"prepared, {_bytes(size)}, and every file is what was written")
    except UserError as error:
        return Check("data", "problem", str(error))


def _check_folder(config: Config) -> Check:
    """Write and remove a file where the run folder is or will be."""
    there = _first_existing(config.run)
    try:
        with tempfile.TemporaryFile(dir=there):
            return Check("run folder", "ok", f"{there} can be written")
    except OSError as error:
        return Check("run folder", "problem", f"{there} can't be written ({error.strerror}); set 'run' elsewhere")


def _check_disk(config: Config, rows: estimate.Rows) -> Check:
    tables, _ = estimate.table_rows(config, rows)
    parts = estimate.disk_bytes(config, rows, tables)
    free, needed = shutil.disk_usage(_first_existing(config.run)).free, sum(parts.values())
    told = f"{_bytes(needed)} ({', '.join(f'{name} {_bytes(size)}' for name, size in parts.items())})"
    if needed > free:
        return Check(
            "disk", "problem", f"needs up to {told}, free are {_bytes(free)}; make room, or set 'run' elsewhere"
        )
    return Check("disk", "warning" if needed > free / 2 else "ok", f"needs up to {told}, free are {_bytes(free)}")


def _check_memory(config: Config, rows: estimate.Rows) -> Check:
    """Hold what a search takes at most against what it gets; with a GPU, only a part of it lies on the host."""
    from distdnas_hpc.search.memory import search_memory

    tables, source = estimate.table_rows(config, rows)
    schema, cluster = config.data.schema_, config.cluster
    memory = search_memory(config, [tables], schema.dense, schema.sparse)
    needed, told = memory.total, f"a search takes {memory}, with tables of {tables:,} rows by {source}"
    if cluster.executor == "slurm":
        given, where = cluster.slurm.mem_gb and cluster.slurm.mem_gb * 1024**3, "cluster.slurm.mem_gb"
        if cluster.slurm.gres:
            needed, told = memory.program + memory.feed, f"{told}; all but program and feed on the GPU"
    else:
        at_a_time = cluster.workers if cluster.executor == "local" else 1
        given = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / at_a_time
        where = f"this machine's memory for {at_a_time} tasks at a time"
    if given and needed > given:
        return Check("memory", "warning", f"{told}: more than {where} ({_bytes(given)})")
    return Check("memory", "ok", told)


def _check_time(config: Config, rows: estimate.Rows) -> Iterator[Check]:
    times = estimate.task_seconds(config, rows)
    if not times:
        yield Check("time", "ok", "nothing is measured yet; with the first finished search this line tells")
    for stage, (seconds, source) in times.items():
        told = f"a task of {stage} takes about {duration(seconds)}, by {source}"
        limit = config.cluster.slurm.time_minutes
        if config.cluster.executor == "slurm" and seconds > 60 * limit:
            told += (
                f": longer than cluster.slurm.time_minutes ({limit}), so it is stopped and goes on from a checkpoint"
            )
            yield Check("time", "warning", told)
        else:
            yield Check("time", "ok", told)


def _check_torch(config: Config) -> Check:
    """Whether torch here can use the GPU that tasks ask for; on a login node without one, whether it could."""
    import torch

    wants = config.cluster.device == "cuda" or (config.cluster.executor == "slurm" and config.cluster.slurm.gres)
    build = f"torch {torch.__version__}"
    if torch.cuda.is_available():
        return Check("torch", "ok", f"{build} sees {torch.cuda.get_device_name(0)}")
    if not wants or config.cluster.device == "cpu":
        return Check("torch", "ok", f"{build}, on CPUs")
    if torch.version.cuda is None:
        told = f"{build} is built without CUDA, but tasks ask for a GPU; install the torch build for it"
        return Check("torch", "problem", told)
    if config.cluster.executor != "slurm":
        return Check("torch", "problem", f"{build} sees no GPU here, and cluster.device is 'cuda'; set it to 'auto'")
    return Check("torch", "ok", f"{build} is built for CUDA {torch.version.cuda}; what the nodes see, --probe tells")


def _first_existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"

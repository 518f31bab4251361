"""Where tasks run, and what they ask for."""

from typing import Literal

from pydantic import Field

from distdnas_hpc.config.section import Section


class Slurm(Section):
    """What each task asks of Slurm; None leaves the cluster's default."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gres: str | None = Field(None, description="single GPU of search and training tasks, e.g. gpu:a5000:1")
    time_minutes: int = Field(240, ge=1)
    mem_gb: float | None = Field(None, gt=0)
    array_parallelism: int = Field(256, ge=1, description="elements of one array that may run at a time (--array=…%k)")
    setup: tuple[str, ...] = Field((), description="shell lines before the task, e.g. 'module load cuda'")
    sbatch: dict[str, str | int | bool] = Field({}, description="further sbatch options, e.g. {mail-type: FAIL}")


class Cluster(Section):
    """Where tasks run. Not part of the experiment: it may differ between two commands on the same run folder."""

    executor: Literal["inline", "local", "slurm"] = "local"
    workers: int = Field(2, ge=1, description="local executor: tasks at a time")
    threads: int = Field(1, ge=1, description="CPU threads (and Slurm CPUs) of a task")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: cuda where torch sees one")
    slurm: Slurm = Slurm()

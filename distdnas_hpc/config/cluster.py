"""Where tasks run, and what they ask for."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from distdnas_hpc.config.section import Section

ESCALATION = 4
"""Where the config names no limit, a task may get so many times the time and memory that it asked for at first."""

_OUR_OWN = {
    "array": "array_parallelism", "time": "time_minutes", "mem": "mem_gb", "cpus-per-task": "cluster.threads",
    "partition": "partition", "account": "account", "qos": "qos", "constraint": "constraint", "gres": "gres",
    "mail-user": "mail_user", "mail-type": "mail_type",
}  # fmt: skip
"""Options of sbatch that have a key of their own."""
_NOBODYS = (
    "chdir",
    "dependency",
    "error",
    "job-name",
    "open-mode",
    "output",
    "requeue",
    "no-requeue",
    "signal",
    "wait",
)
"""Options of sbatch that the launcher sets, because it finds jobs again and ends them in order by them."""


class Slurm(Section):
    """What each task asks of Slurm; None leaves the cluster's default."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gres: str | None = Field(None, description="single GPU of search and training tasks, e.g. gpu:a5000:1")
    time_minutes: int = Field(240, ge=1, description="a task that needs longer is queued again from its checkpoint")
    mem_gb: float | None = Field(None, gt=0)
    array_parallelism: int = Field(256, ge=1, description="elements of one array that may run at a time (--array=…%k)")
    max_attempts: int = Field(
        10, ge=1, description="how often a job may begin, after node failures, preemptions and time limits"
    )
    max_time_minutes: int | None = Field(
        None, ge=1, description="most that 'resubmit' gives a task that timed out; default: 4 times time_minutes"
    )
    max_mem_gb: float | None = Field(
        None, gt=0, description="most that 'resubmit' gives a task that ran out of memory; default: 4 times mem_gb"
    )
    mail_user: str | None = Field(None, description="whom Slurm writes to")
    mail_type: str | None = Field(None, description="about what, e.g. FAIL,TIME_LIMIT")
    setup: tuple[str, ...] = Field((), description="shell lines before the task, e.g. 'module load cuda'")
    sbatch: dict[str, str | int | bool] = Field({}, description="further sbatch options, e.g. {reservation: course}")

    @field_validator("sbatch")
    @classmethod
    def _options_are_further_ones(cls, options: dict[str, str | int | bool]) -> dict[str, str | int | bool]:
        for name in options:
            if name in _OUR_OWN:
                raise ValueError(f"the option {name} has a key of its own: set {_OUR_OWN[name]} instead")
            if name in _NOBODYS:
                raise ValueError(f"the option {name} is set by distdnas itself; remove it")
        return options

    @model_validator(mode="after")
    def _limits_are_no_less(self) -> "Slurm":
        if self.time_limit < self.time_minutes:
            raise ValueError(f"max_time_minutes ({self.max_time_minutes}) is less than time_minutes")
        if self.max_mem_gb is not None and self.mem_gb is not None and self.max_mem_gb < self.mem_gb:
            raise ValueError(f"max_mem_gb ({self.max_mem_gb:g}) is less than mem_gb ({self.mem_gb:g})")
        return self

    @property
    def time_limit(self) -> int:
        """Most minutes that a task gets without being told."""
        return self.max_time_minutes or ESCALATION * self.time_minutes

    @property
    def mem_limit(self) -> float | None:
        """Most memory that a task gets without being told, in GiB."""
        return self.max_mem_gb or (ESCALATION * self.mem_gb if self.mem_gb is not None else None)


class Cluster(Section):
    """Where tasks run. Not part of the experiment: it may differ between two commands on the same run folder."""

    profile: str | None = Field(
        None, description="name of a cluster: clusters/NAME.yaml beside the config says what this section leaves open"
    )
    executor: Literal["inline", "local", "slurm"] = "local"
    workers: int = Field(2, ge=1, description="local executor: tasks at a time")
    threads: int = Field(1, ge=1, description="CPU threads (and Slurm CPUs) of a task")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: cuda where torch sees one")
    slurm: Slurm = Slurm()

"""A pipeline is data: stages of tasks that may run side by side, and which stage waits for which."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.progress import Progress


class Work(NamedTuple):
    """What a task's function gets: its run, its own name and folder, and whom to tell how far it is."""

    run: RunFolder
    task: str
    folder: Path
    progress: Progress


@dataclass(frozen=True)
class Stage:
    """Tasks that run the same function and may run at the same time.

    Parameters
    ----------
    name : folder of the stage in the run.
    tasks : names of its tasks, e.g. ('day_01', 'day_02'); folders below the stage's.
    function : what a task does; returns the mapping that becomes the task's result and has no memory but files.
    after : names of the stages that must be finished first.
    required : how many tasks must be done for the stage to count as finished; None means all.
    gpu : whether a task asks Slurm for the config's single GPU.
    """

    name: str
    tasks: tuple[str, ...]
    function: Callable[[Work], dict[str, Any]]
    after: tuple[str, ...] = ()
    required: int | None = None
    gpu: bool = False

    def finished(self, run: RunFolder) -> bool:
        """Whether enough of the tasks have a result for the stages that come after."""
        return len(self.missing(run)) <= len(self.tasks) - (self.required or len(self.tasks))

    def missing(self, run: RunFolder) -> list[str]:
        """Names of the tasks without a result."""
        return [task for task in self.tasks if not run.is_done(self.name, task)]


def in_order(stages: Iterable[Stage]) -> Iterator[Stage]:
    """Yield stages so that each comes after those it waits for; a stage that waits for an unknown one is an error."""
    waiting = list(stages)
    seen: set[str] = set()
    while waiting:
        ready = next((stage for stage in waiting if seen.issuperset(stage.after)), None)
        if ready is None:
            raise ValueError(f"stages wait for each other or for unknown ones: {[stage.name for stage in waiting]}")
        waiting.remove(ready)
        seen.add(ready.name)
        yield ready

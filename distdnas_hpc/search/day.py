"""One day's differentiable architecture search: a single pass, bilevel (paper §IV-A, Algorithm 1)."""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from distdnas_hpc.checkpoint import Checkpoints, identity
from distdnas_hpc.config import Config
from distdnas_hpc.data.feed import Batch, Feed
from distdnas_hpc.data.manifest import Manifest
from distdnas_hpc.errors import UserError
from distdnas_hpc.loop import Loop, Part, diagnosed
from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES, Architecture
from distdnas_hpc.nn.embedding import Embedding
from distdnas_hpc.nn.model import CTRModel
from distdnas_hpc.nn.network import Mixing, Network
from distdnas_hpc.nn.optim import Optimizers, warmup
from distdnas_hpc.progress import Progress
from distdnas_hpc.search.bilevel import BATCHES, Bilevel
from distdnas_hpc.search.cost import CostImportance
from distdnas_hpc.search.learning import doubt, supernet_ne
from distdnas_hpc.search.memory import search_memory
from distdnas_hpc.search.weights import ArchitectureWeights
from distdnas_hpc.storage import CHECKPOINTS, write_yaml
from distdnas_hpc.trajectory import Trajectory, Trouble

log = logging.getLogger(__name__)

TRAJECTORY = pa.schema(
    [("step", pa.int32()), ("alpha", pa.list_(pa.float32())), ("beta", pa.list_(pa.float32()))]
    + [(name, pa.float32()) for name in ("loss_w", "loss_architecture", "regularisation", "expected_macs")]
    + [(name, pa.float32()) for name in ("temperature", "rows_per_second")]
    + [("memory_bytes", pa.int64())]
)


@diagnosed
def search_day(
    config: Config,
    day: int | Sequence[int],
    manifest: Manifest,
    importance: CostImportance,
    folder: Path,
    device: torch.device,
    progress: Progress,
    suspect: Trouble | None = None,
) -> dict[str, Any]:
    """Search one day: batches train w and the architecture weights, each row seen once.

    Several days are searched in their order in one pass, each shuffled by itself (one-shot DNAS, paper Table II).

    On a CPU with one thread, equal seeds give equal architecture weights bit for bit, however often the search was
    interrupted: it goes on from the last checkpoint in the folder.

    Parameters
    ----------
    importance : s of every module, from `search.cost`.
    folder : exists; receives `architecture.yaml`, `trajectory.parquet` and meanwhile checkpoints.
    suspect : for `diagnosed`, which names the module of a loss that diverges.

    Returns
    -------
    dict with rows, steps (of two batches, with `search.bilevel: joint` of one), seconds, rows_per_second, loss_w,
    loss_architecture, ne (the supernet's, see `search.learning`).

    Raises
    ------
    UserError : the day has fewer batches than a step takes, or is not prepared; a checkpoint belongs to something else.
    DivergedError : a loss stopped being finite, or grew beyond `config.optimizer.divergence`.
    KeyboardInterrupt : told to stop; between two steps, with a checkpoint of the last.
    """
    settings = config.search
    days = (day,) if isinstance(day, int) else tuple(day)
    name = f"day_{day:02d}" if isinstance(day, int) else "all"
    seed = config.seed_of("search", name)
    feeds = {
        each: Feed(
            manifest, each, settings.batch_size, shuffle_seed=config.seed_of("search", f"day_{each:02d}", "feed")
        )
        for each in days
    }
    batches_a_step = BATCHES[settings.bilevel]
    for each, feed in feeds.items():
        if len(feed) < batches_a_step:
            raise UserError(
                f"Day {each} has {feed.rows} rows, one batch: a search needs a batch for w and one for A and B. "
                f"Lower search.batch_size ({settings.batch_size})."
            )
    steps = sum(len(feed) // batches_a_step for feed in feeds.values())
    dense, sparse = len(manifest.dense_columns), len(manifest.sparse_columns)
    memory = search_memory(config, manifest.table_sizes, dense, sparse, device)
    rows_of_days = sum(feed.rows for feed in feeds.values())
    log.info("day %s: %d rows, %d steps; %s", ", ".join(map(str, days)), rows_of_days, steps, memory)
    torch.manual_seed(seed)
    gumbel = torch.Generator().manual_seed(config.seed_of("search", name, "gumbel"))
    supernet = Network(Architecture.full(config.model.blocks), config.model, dense, sparse)
    # The supernet begins with the days' click rate. Else modules would first be preferred for how fast they bring the
    # logit down from 0, which is most of the loss where clicks are rare and days are short (docs/evidence.md).
    clicks = sum(manifest.days[each].clicks for each in days)
    if 0 < clicks < rows_of_days:
        torch.nn.init.constant_(supernet.head.bias, math.log(clicks / (rows_of_days - clicks)))
    embedding = Embedding(manifest.table_sizes, config.model.dim_s)
    model = CTRModel(embedding, supernet, config.optimizer.precision).to(device)
    weights = ArchitectureWeights(config.model.blocks).to(device)
    s = Mixing(*(torch.tensor(side).float().to(device) for side in (importance.dense, importance.sparse)))

    w_optimizers = Optimizers(model, config.optimizer)
    architecture_optimizer = torch.optim.Adam(weights.parameters(), lr=settings.architecture_lr)
    losses = ["loss_w", "loss_architecture", "regularisation"]
    trajectory = Trajectory(steps, losses, device, bound=config.optimizer.divergence * math.log(2))

    bilevel = Bilevel(config, model, weights, w_optimizers, architecture_optimizer, s, gumbel)
    checkpoints = Checkpoints(folder / CHECKPOINTS, identity(config, seed, manifest))
    parts: dict[str, Part | torch.Generator] = {
        "weights": weights,
        "w_optimizers": w_optimizers,
        "architecture_optimizer": architecture_optimizer,
        "gumbel": gumbel,
    }
    with Loop(steps, checkpoints, config.checkpoint, model, trajectory, parts, suspect) as loop:
        done = loop.resume()
        of_steps = _of_steps(feeds, settings.bilevel, done)
        architecture = None
        progress.start(done / steps, trajectory.rows)
        for step in loop.steps():
            of_day, batches = next(of_steps)
            of_step = [batch.to(device) for batch in batches]
            temperature = settings.temperature.at(step / steps)
            w_alone = step <= settings.architecture_after * steps
            found = bilevel.step(of_step, temperature, warmup(step, settings.warmup_steps), w_alone=w_alone)

            rows = sum(len(batch.label) for batch in of_step)
            point = trajectory.add(step, rows, *found, day=of_day)
            if point is not None:
                point |= _weights_now(weights, importance) | {"temperature": temperature}
                architecture = {"alpha": point["alpha"], "beta": point["beta"]}
            progress.update(step / steps, rows=trajectory.rows, loss=trajectory.loss, architecture=architecture)
    rows, seconds = trajectory.rows, trajectory.seconds  # the last step is read, so the device has finished

    trajectory.write(folder / "trajectory.parquet", TRAJECTORY)
    _write_architecture(folder / "architecture.yaml", config, days, rows, seed, weights)
    peak = trajectory.points[-1]["memory_bytes"] / 1e9
    names = ", ".join(map(str, days))
    log.info("day %s searched: %d rows, %d steps, loss %.4f, %.2f GB", names, rows, steps, trajectory.loss, peak)
    ne = supernet_ne(trajectory.points, clicks / rows_of_days)
    if doubted := doubt(ne):
        log.warning("day %s: %s", names, doubted)
    return {
        "rows": rows,
        "steps": steps,
        "seconds": seconds,
        "rows_per_second": rows / seconds,
        "loss_w": trajectory.points[-1]["loss_w"],
        "loss_architecture": trajectory.points[-1]["loss_architecture"],
        "ne": ne,
    }


def _of_steps(feeds: Mapping[int, Feed], bilevel: str, done: int) -> Iterator[tuple[int, Sequence[Batch]]]:
    """Yield the day and the batches of each step, after `done` steps; what is left of a day takes part in none."""
    for day, feed in feeds.items():
        steps = len(feed) // BATCHES[bilevel]
        if done < steps:
            for batches in zip(feed.batches(done)) if bilevel == "joint" else feed.pairs(done):
                yield day, batches
        done = max(done - steps, 0)


def _weights_now(weights: ArchitectureWeights, importance: CostImportance) -> dict[str, Any]:
    """Return α and β, flat, and the MACs that they stand for on average."""
    with torch.no_grad():
        alpha, beta = (side.cpu().numpy() for side in weights.probabilities())
    macs = float(importance.macs.of(np.concatenate([alpha, beta], axis=1)))
    return {"alpha": alpha.ravel().tolist(), "beta": beta.ravel().tolist(), "expected_macs": macs}


def _write_architecture(
    path: Path, config: Config, days: Sequence[int], rows: int, seed: int, weights: ArchitectureWeights
) -> None:
    with torch.no_grad():
        probabilities = weights.probabilities()
        logits = weights.alpha_logits, weights.beta_logits
    write_yaml(
        path,
        {
            "day": days[-1],
            "rows": rows,
            "seed": seed,
            "config": config.fingerprint(),
            "dense_modules": list(DENSE_MODULES),
            "sparse_modules": list(SPARSE_MODULES),
            "alpha": probabilities.dense.tolist(),
            "beta": probabilities.sparse.tolist(),
            "alpha_logits": logits[0].tolist(),
            "beta_logits": logits[1].tolist(),
        },
    )

"""One day's differentiable architecture search: a single pass, bilevel, first order (paper §IV-A, Algorithm 1)."""

import logging
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from distdnas_hpc.config import Config
from distdnas_hpc.data.feed import Batch, Feed
from distdnas_hpc.data.manifest import Manifest
from distdnas_hpc.errors import UserError
from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES, Architecture
from distdnas_hpc.nn.embedding import Embedding
from distdnas_hpc.nn.model import CTRModel
from distdnas_hpc.nn.network import Mixing, Network
from distdnas_hpc.nn.optim import Optimizers, warmup
from distdnas_hpc.progress import Progress
from distdnas_hpc.search.cost import CostImportance
from distdnas_hpc.search.weights import ArchitectureWeights
from distdnas_hpc.storage import atomic_write, write_yaml

log = logging.getLogger(__name__)

TRAJECTORY_ROWS = 2000
"""At most so many rows in a trajectory; each costs one host synchronisation, and no other step has any."""

TRAJECTORY = pa.schema(
    [("step", pa.int32()), ("alpha", pa.list_(pa.float32())), ("beta", pa.list_(pa.float32()))]
    + [(name, pa.float32()) for name in ("loss_w", "loss_architecture", "regularisation", "expected_macs")]
    + [(name, pa.float32()) for name in ("temperature", "rows_per_second")]
)


def search_day(
    config: Config,
    day: int,
    manifest: Manifest,
    importance: CostImportance,
    folder: Path,
    device: torch.device,
    progress: Progress,
) -> dict[str, Any]:
    """Search one day: batches train w and the architecture weights in turn, each row seen once.

    On a CPU with one thread, equal seeds give equal architecture weights bit for bit.

    Parameters
    ----------
    importance : s of every module, from `search.cost`.
    folder : exists; receives `architecture.yaml` and `trajectory.parquet`.

    Returns
    -------
    dict with rows, steps (pairs of a w and an A,B batch), seconds, rows_per_second, loss_w, loss_architecture.

    Raises
    ------
    UserError : the day has fewer than two batches, or is not prepared.
    RuntimeError : a loss stopped being finite.
    """
    settings = config.search
    name = f"day_{day:02d}"
    seed = config.seed_of("search", name)
    feed = Feed(manifest, day, settings.batch_size, shuffle_seed=config.seed_of("search", name, "feed"))
    steps = len(feed) // 2
    if steps == 0:
        raise UserError(
            f"Day {day} has {feed.rows} rows, one batch: a search needs a batch for w and one for A and B. "
            f"Lower search.batch_size ({settings.batch_size})."
        )
    torch.manual_seed(seed)
    gumbel = torch.Generator().manual_seed(config.seed_of("search", name, "gumbel"))
    dense, sparse = len(manifest.dense_columns), len(manifest.sparse_columns)
    supernet = Network(Architecture.full(config.model.blocks), config.model, dense, sparse)
    model = CTRModel(Embedding(manifest.table_sizes, config.model.dim_s), supernet).to(device)
    weights = ArchitectureWeights(config.model.blocks).to(device)
    s = Mixing(*(torch.tensor(side).float().to(device) for side in (importance.dense, importance.sparse)))

    w_optimizers = Optimizers(model, config.optimizer)
    architecture_optimizer = torch.optim.Adam(weights.parameters(), lr=settings.architecture_lr)
    trajectory = _Trajectory(steps, importance, weights, device)

    def loss_of(batch: Batch, mixing: Mixing) -> Tensor:
        return binary_cross_entropy_with_logits(model(batch.dense, batch.sparse, mixing=mixing), batch.label)

    batches = (batch.to(device) for batch in feed)
    rows = 0
    start = time.perf_counter()
    progress.start()
    for step in range(1, steps + 1):
        w_batch, architecture_batch = next(batches), next(batches)
        temperature = settings.temperature.at(step / steps)
        scale = warmup(step, settings.warmup_steps)

        # w minimises LogLoss on its own part of the day, A and B held fixed.
        w_optimizers.zero_grad()
        with torch.no_grad():
            mixing = weights.sample(temperature, gumbel)
        loss_w = loss_of(w_batch, mixing)
        loss_w.backward()
        w_optimizers.step(scale)

        # A and B minimise LogLoss + R on the other part, w held fixed: no gradient of w is computed.
        loss_architecture = loss_of(architecture_batch, weights.sample(temperature, gumbel))
        regularisation = weights.regularisation(s, settings.gamma)
        logits = list(weights.parameters())
        for parameter, gradient in zip(
            logits, torch.autograd.grad(loss_architecture + regularisation, logits), strict=True
        ):
            parameter.grad = gradient
        architecture_optimizer.param_groups[0]["lr"] = scale * settings.architecture_lr
        architecture_optimizer.step()

        rows += len(w_batch.label) + len(architecture_batch.label)
        trajectory.add(step, rows, temperature, loss_w.detach(), loss_architecture.detach(), regularisation.detach())
        progress.update(step / steps, rows=rows, loss=trajectory.loss)
    seconds = time.perf_counter() - start  # the last step is in the trajectory, so the device has finished

    trajectory.write(folder / "trajectory.parquet")
    _write_architecture(folder / "architecture.yaml", config, day, rows, seed, weights)
    log.info("day %d searched: %d rows, %d steps, loss %.4f", day, rows, steps, trajectory.loss)
    return {
        "rows": rows,
        "steps": steps,
        "seconds": seconds,
        "rows_per_second": rows / seconds,
        "loss_w": trajectory.points[-1]["loss_w"],
        "loss_architecture": trajectory.points[-1]["loss_architecture"],
    }


def _write_architecture(
    path: Path, config: Config, day: int, rows: int, seed: int, weights: ArchitectureWeights
) -> None:
    with torch.no_grad():
        probabilities = weights.probabilities()
        logits = weights.alpha_logits, weights.beta_logits
    write_yaml(
        path,
        {
            "day": day,
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


class _Trajectory:
    """Mean losses over short stretches of steps, and A and B at their ends; read from the device once a stretch."""

    def __init__(
        self, steps: int, importance: CostImportance, weights: ArchitectureWeights, device: torch.device
    ) -> None:
        self.loss = math.nan  # of w, over the last finished stretch
        self.points: list[dict[str, Any]] = []
        self._steps = steps
        self._stretch = math.ceil(steps / TRAJECTORY_ROWS)
        self._macs = importance.macs
        self._weights = weights
        self._sums = torch.zeros(3, dtype=torch.float64, device=device)
        self._in_stretch = 0
        self._last = (time.perf_counter(), 0)

    def add(self, step: int, rows: int, temperature: float, *losses: Tensor) -> None:
        """Count a step's loss of w, of A and B, and R; RuntimeError when a stretch's mean is not finite."""
        self._sums += torch.stack(losses)
        self._in_stretch += 1
        if step % self._stretch and step < self._steps:
            return
        loss_w, loss_architecture, regularisation = (self._sums / self._in_stretch).tolist()
        if not math.isfinite(loss_w + loss_architecture + regularisation):
            raise RuntimeError(
                f"a loss stopped being finite in the {self._stretch} steps up to step {step}: "
                f"w {loss_w}, A and B {loss_architecture}, R {regularisation}"
            )
        with torch.no_grad():
            alpha, beta = (side.cpu().numpy() for side in self._weights.probabilities())
        now, (before, rows_before) = time.perf_counter(), self._last
        self.points.append(
            {
                "step": step,
                "alpha": alpha.ravel(),
                "beta": beta.ravel(),
                "loss_w": loss_w,
                "loss_architecture": loss_architecture,
                "regularisation": regularisation,
                "expected_macs": float(self._macs.of(np.concatenate([alpha, beta], axis=1))),
                "temperature": temperature,
                "rows_per_second": (rows - rows_before) / (now - before),
            }
        )
        self.loss, self._last, self._in_stretch = loss_w, (now, rows), 0
        self._sums.zero_()

    def write(self, path: Path) -> None:
        with atomic_write(path) as temporary:
            pq.write_table(pa.Table.from_pylist(self.points, schema=TRAJECTORY), temporary)

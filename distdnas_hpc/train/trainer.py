"""Training from scratch in a single pass over the days, and tests on the day after (paper §V-A).

Final training tests once, on the day after the last; recurring training (paper, Figure 7) after every day.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from distdnas_hpc.checkpoint import Checkpoints, identity
from distdnas_hpc.config import Config
from distdnas_hpc.data.feed import Batch, Feed
from distdnas_hpc.data.manifest import Manifest
from distdnas_hpc.errors import DivergedError, UserError
from distdnas_hpc.loop import Loop, Part, diagnosed
from distdnas_hpc.nn.embedding import Embedding
from distdnas_hpc.nn.model import CTRModel
from distdnas_hpc.nn.optim import Optimizers, warmup
from distdnas_hpc.progress import Progress
from distdnas_hpc.storage import CHECKPOINTS, atomic_write
from distdnas_hpc.train.metrics import evaluate_scores
from distdnas_hpc.train.scores import SCORES, Scores, write_scores
from distdnas_hpc.trajectory import Trajectory, Trouble

log = logging.getLogger(__name__)

TRAJECTORY = pa.schema(
    [
        ("step", pa.int32()),
        ("day", pa.int32()),
        ("loss", pa.float32()),
        ("rows_per_second", pa.float32()),
        ("memory_bytes", pa.int64()),
    ]
)


class Tests:
    """What the tests so far found, a dict for each; it goes into checkpoints."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []

    @property
    def rows(self) -> int:
        """Rows tested in all."""
        return sum(test["test_rows"] for test in self.found)

    def state_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"found": self.found}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self.found = state["found"]


@diagnosed
def train_model(
    config: Config,
    build: Callable[[], nn.Module],
    manifest: Manifest,
    seed: int,
    folder: Path,
    device: torch.device,
    progress: Progress,
    suspect: Trouble | None = None,
    *,
    recurring: bool = False,
) -> dict[str, Any]:
    """Train a network on top of new embeddings, keep the model, and test it.

    Each row of `config.train.days` is seen once: day after day, shuffled within the day in an order that depends on
    `config.seed` alone, so that all models see the same batches. On a CPU with one thread, equal seeds give equal
    models bit for bit, however often the training was interrupted: it goes on from the last checkpoint in the folder. A
    GPU adds up sparse gradients in no fixed order.

    Parameters
    ----------
    build : makes the interaction network, see `train.models.build_network`.
    seed : of its weights and of the embeddings.
    folder : exists; receives `trajectory.parquet` and meanwhile checkpoints, and, unless `recurring`, `model.pt` (the
        CTRModel's state_dict) and `SCORES`.
    suspect : for `diagnosed`, which names the module of a loss that diverges.
    recurring : test on each training day but the first before training on it, and at last on `train.test_day`: what a
        model that is trained on days 1 to t says of day t+1, for all t in one pass.

    Returns
    -------
    dict with rows (trained), train_seconds, rows_per_second, and the findings of a test: test_day, trained_days (how
    many), test_rows, clicks (of the test day) and the scores of `Metrics`, None where one is not defined, with a
    sentence under `undefined`. With `recurring`, a list of such findings under `days` instead.

    Raises
    ------
    UserError : a day is not prepared, or a checkpoint belongs to something else; said before any training.
    DivergedError : the loss stopped being finite, or grew beyond `config.optimizer.divergence`, or the score of a test
        row is not finite.
    KeyboardInterrupt : told to stop; between two steps of training, with a checkpoint of the last, or in a test.
    """
    settings = config.train
    days = settings.days
    if settings.test_day not in manifest.days:
        raise UserError(
            f"Test day {settings.test_day} is not prepared in {manifest.folder}; correct train.test_day or prepare it."
        )
    feeds = {
        day: Feed(manifest, day, settings.batch_size, shuffle_seed=config.seed_of("train", f"day_{day:02d}", "feed"))
        for day in days
    }
    test_days = (*days[1:], settings.test_day) if recurring else (settings.test_day,)
    test_feeds = {day: Feed(manifest, day, settings.batch_size) for day in test_days}
    steps = sum(len(feed) for feed in feeds.values())
    warmup_steps = sum(len(feeds[day]) for day in days[: settings.warmup_days])
    all_rows = sum(feed.rows for feed in (*feeds.values(), *test_feeds.values()))

    torch.manual_seed(seed)
    network = build()
    torch.manual_seed(seed)  # so that the tables of all networks begin alike
    embedding = Embedding(manifest.table_sizes, config.model.dim_s)
    model = CTRModel(embedding, network, config.optimizer.precision).to(device)
    optimizers = Optimizers(model, config.optimizer)
    trajectory = Trajectory(steps, ["loss"], device, bound=config.optimizer.divergence * math.log(2))
    tests = Tests()
    checkpoints = Checkpoints(folder / CHECKPOINTS, identity(config, seed, manifest))
    parts: dict[str, Part | torch.Generator] = {"optimizers": optimizers, "tests": tests}
    loop = Loop(steps, checkpoints, config.checkpoint, model, trajectory, parts, suspect)
    batches = _batches(feeds, loop.resume())

    def tell(tested: int = 0) -> None:
        rows = trajectory.rows + tests.rows + tested
        progress.update(rows / all_rows, rows=rows, loss=trajectory.loss)

    progress.start((trajectory.rows + tests.rows) / all_rows, trajectory.rows + tests.rows)
    for test_day, test_feed in test_feeds.items():
        before = [day for day in days if day < test_day]
        model.train()
        with loop:
            for step in loop.steps(until=sum(len(feeds[day]) for day in before)):
                day, batch = next(batches)
                label, dense, sparse = batch.to(device)
                optimizers.zero_grad()
                loss = binary_cross_entropy_with_logits(model(dense, sparse), label)
                loss.backward()
                optimizers.step(warmup(step, warmup_steps))
                point = trajectory.add(step, len(label), loss.detach(), day=day)
                if point is not None:
                    point["day"] = day
                tell()
        if any(test["test_day"] == test_day for test in tests.found):  # before the checkpoint
            continue
        start = time.perf_counter()
        scores = score_day(model, test_feed, device, tell)
        tests.found.append({"test_day": test_day, "trained_days": len(before), **_findings(test_day, scores)})
        trajectory.leave_out(time.perf_counter() - start)

    trajectory.write(folder / "trajectory.parquet", TRAJECTORY)
    rows, seconds = trajectory.rows, trajectory.seconds
    trained = {"rows": rows, "train_seconds": seconds, "rows_per_second": rows / seconds}
    if recurring:
        return {**trained, "days": tests.found}
    with atomic_write(folder / "model.pt") as temporary:
        torch.save({name: tensor.cpu() for name, tensor in model.state_dict().items()}, temporary)
    write_scores(folder / SCORES, scores)
    return {**trained, **tests.found[0]}


def _batches(feeds: Mapping[int, Feed], done: int) -> Iterator[tuple[int, Batch]]:
    """Yield all days' batches with their day, from number `done` on."""
    for day, feed in feeds.items():
        if done < len(feed):
            log.info("day %d: batch %d of %d", day, done + 1, len(feed))
            for batch in feed.batches(done):
                yield day, batch
        done = max(done - len(feed), 0)


@torch.inference_mode()
def score_day(model: CTRModel, feed: Feed, device: torch.device, report: Callable[[int], None]) -> Scores:
    """Stream a day through `model`; return its labels and logits in the feed's order.

    `report` is called with the number of rows so far. The logits stay on the device until the end (4 bytes a row),
    because fetching them batch by batch would make the device wait for the host.
    """
    label = np.empty(feed.rows, dtype=np.uint8)
    logits = torch.empty(feed.rows, device=device)
    done = 0
    model.eval()
    for batch in feed:
        rows = slice(done, done + len(batch.label))
        label[rows] = batch.label.numpy()
        on_device = batch.to(device)
        logits[rows] = model(on_device.dense, on_device.sparse)
        done = rows.stop
        report(done)
    return Scores(label, logits.cpu().numpy())


def _findings(day: int, scores: Scores) -> dict[str, Any]:
    """Return what the scores of a test day are worth, as plain values; None for a metric that is not defined."""
    if not np.isfinite(scores.logit).all():
        row = int(np.flatnonzero(~np.isfinite(scores.logit))[0])
        raise DivergedError(
            f"The score of row {row + 1:,} of test day {day} is {scores.logit[row]}: the model diverged"
        )
    metrics = asdict(evaluate_scores(*scores))
    found = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
    log.info("day %d tested: AUC %s, LogLoss %.5f", day, found["auc"], metrics["logloss"])
    rows, clicks = found.pop("rows"), found.pop("clicks")
    if clicks in (0, rows):
        which = "All" if clicks else "None"
        found["undefined"] = (
            f"{which} of the {rows:,} rows of test day {day} are clicks, so AUC and NE are not defined."
        )
    return {"test_rows": rows, "clicks": clicks, **found}

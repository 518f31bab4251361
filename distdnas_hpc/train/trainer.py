"""Final training from scratch in a single pass over the days, then the test on the day after (paper §V-A)."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from distdnas_hpc.checkpoint import Checkpoints, identity
from distdnas_hpc.config import Config
from distdnas_hpc.data.feed import Batch, Feed
from distdnas_hpc.data.manifest import Manifest
from distdnas_hpc.errors import UserError
from distdnas_hpc.loop import Loop, diagnosed
from distdnas_hpc.nn.embedding import Embedding
from distdnas_hpc.nn.model import CTRModel
from distdnas_hpc.nn.optim import Optimizers, warmup
from distdnas_hpc.progress import Progress
from distdnas_hpc.storage import CHECKPOINTS, atomic_write
from distdnas_hpc.train.metrics import evaluate_scores
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
    folder : exists; receives `model.pt` (the CTRModel's state_dict), `trajectory.parquet` and meanwhile checkpoints.
    suspect : for `diagnosed`, which names the module of a loss that diverges.

    Returns
    -------
    dict with rows (trained), train_seconds, rows_per_second, test_day, test_rows, clicks (of the test day) and the
    scores of `Metrics`.

    Raises
    ------
    UserError : a day is not prepared, the test day has one class only, or a checkpoint belongs to something else; said
        before any training.
    DivergedError : the loss stopped being finite, or grew beyond `config.optimizer.divergence`.
    KeyboardInterrupt : told to stop; between two steps of training, with a checkpoint of the last.
    """
    settings = config.train
    _check_test_day(manifest, settings.test_day)
    test = Feed(manifest, settings.test_day, settings.batch_size)
    feeds = {
        day: Feed(manifest, day, settings.batch_size, shuffle_seed=config.seed_of("train", f"day_{day:02d}", "feed"))
        for day in settings.days
    }
    steps = sum(len(feed) for feed in feeds.values())
    warmup_steps = sum(len(feeds[day]) for day in settings.days[: settings.warmup_days])
    all_rows = sum(feed.rows for feed in feeds.values()) + test.rows

    torch.manual_seed(seed)
    network = build()
    torch.manual_seed(seed)  # so that the tables of all networks begin alike
    embedding = Embedding(manifest.table_sizes, config.model.dim_s)
    model = CTRModel(embedding, network, config.optimizer.precision).to(device)
    optimizers = Optimizers(model, config.optimizer)
    trajectory = Trajectory(steps, ["loss"], device, bound=config.optimizer.divergence * math.log(2))
    checkpoints = Checkpoints(folder / CHECKPOINTS, identity(config, seed, manifest))
    model.train()
    with Loop(steps, checkpoints, config.checkpoint, model, trajectory, {"optimizers": optimizers}, suspect) as loop:
        batches = _batches(feeds, loop.resume())
        progress.start(trajectory.rows / all_rows, trajectory.rows)
        for step in loop.steps():
            day, batch = next(batches)
            label, dense, sparse = batch.to(device)
            optimizers.zero_grad()
            loss = binary_cross_entropy_with_logits(model(dense, sparse), label)
            loss.backward()
            optimizers.step(warmup(step, warmup_steps))
            point = trajectory.add(step, len(label), loss.detach(), day=day)
            if point is not None:
                point["day"] = day
            progress.update(trajectory.rows / all_rows, rows=trajectory.rows, loss=trajectory.loss)
    rows, train_seconds = trajectory.rows, trajectory.seconds  # the last step is read, so the device has finished

    trajectory.write(folder / "trajectory.parquet", TRAJECTORY)
    with atomic_write(folder / "model.pt") as temporary:
        torch.save({name: tensor.cpu() for name, tensor in model.state_dict().items()}, temporary)

    clicked, probability = score_day(
        model,
        test,
        device,
        lambda tested: progress.update((rows + tested) / all_rows, rows=rows + tested, loss=trajectory.loss),
    )
    metrics = asdict(evaluate_scores(clicked, probability))
    log.info("day %d tested: AUC %.5f, LogLoss %.5f", settings.test_day, metrics["auc"], metrics["logloss"])
    return {
        "rows": rows,
        "train_seconds": train_seconds,
        "rows_per_second": rows / train_seconds,
        "test_day": settings.test_day,
        "test_rows": metrics.pop("rows"),
        **metrics,
    }


def _batches(feeds: Mapping[int, Feed], done: int) -> Iterator[tuple[int, Batch]]:
    """Yield all days' batches with their day, from number `done` on."""
    for day, feed in feeds.items():
        if done < len(feed):
            log.info("day %d: batch %d of %d", day, done + 1, len(feed))
            for batch in feed.batches(done):
                yield day, batch
        done = max(done - len(feed), 0)


@torch.inference_mode()
def score_day(
    model: CTRModel, feed: Feed, device: torch.device, report: Callable[[int], None]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Stream a day through `model`; return labels and click probabilities, (feed.rows,) each, in the feed's order.

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
    # In float64 the sigmoid keeps the order of the logits; float32 would tie every logit above 17 at probability 1.
    return label, torch.sigmoid(logits.cpu().double()).numpy()


def _check_test_day(manifest: Manifest, day: int) -> None:
    if day not in manifest.days:
        raise UserError(f"Test day {day} is not prepared in {manifest.folder}; correct train.test_day or prepare it.")
    rows, clicks = manifest.days[day].rows, manifest.days[day].clicks
    if clicks in (0, rows):
        raise UserError(
            f"Of the {rows} rows of test day {day} {'all' if clicks else 'none'} are clicks, so AUC and NE are not "
            "defined; choose another train.test_day."
        )

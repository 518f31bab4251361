"""Latency of every model: what half of the paper's claim, a network that is cheap to serve, comes to on this machine.

    python -m benchmarks.serving [--rows 100000] [--seconds 1] [--threads 1]

At the paper's dimensions, with tables of `--rows` rows in all: the median time of a batch of 1, 64 and 4,096 rows
through the package's own model, its torch.export program and its ONNX program (where ONNX Runtime is installed), and
the model's time over DLRM's. For what a search may find stands a network that keeps two modules a side in each block.
Models take turns, so that a machine's mood hits all alike.
"""

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from distdnas_hpc.config import Model
from distdnas_hpc.nn.architecture import Architecture
from distdnas_hpc.nn.baselines.registry import REGISTRY
from distdnas_hpc.nn.embedding import Embedding
from distdnas_hpc.nn.macs import network_cost
from distdnas_hpc.nn.model import CTRModel
from distdnas_hpc.nn.network import Network
from distdnas_hpc.serve import onnx_program
from distdnas_hpc.serve.model_folder import export_program
from distdnas_hpc.serve.onnx_program import write_onnx

DENSE, SPARSE = 13, 26
BATCHES = (1, 64, 4096)
TWO_A_SIDE = Architecture(dense=(("linear", "crossnet"),) * 7, sparse=(("linear3d", "embed_fc"),) * 7)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="embedding rows in all")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each model and batch")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    settings = Model()
    builders: dict[str, Callable[[], torch.nn.Module]] = {
        "DistDNAS, 2 modules a side": lambda: Network(TWO_A_SIDE, settings, DENSE, SPARSE),
        "DistDNAS, supernet": lambda: Network(Architecture.full(settings.blocks), settings, DENSE, SPARSE),
    }
    builders |= {known.title: partial(known.build, settings, DENSE, SPARSE) for known in REGISTRY.values()}
    sizes = [max(arguments.rows // SPARSE, 1)] * SPARSE
    embedding = Embedding(sizes, settings.dim_s)
    models = {title: CTRModel(embedding, build()).eval().requires_grad_(False) for title, build in builders.items()}
    ways: dict[str, dict[str, Callable[[Tensor, Tensor], Tensor]]] = {
        "model": {**models},
        "program": {title: export_program(model, DENSE).module() for title, model in models.items()},
    }
    if importlib.util.find_spec("onnxruntime"):
        ways["ONNX"] = {title: by_onnx(model, arguments.threads) for title, model in models.items()}
    milliseconds = {way: measure(calls, sizes[0], arguments.seconds) for way, calls in ways.items()}

    table = Table(title=f"Median milliseconds of a batch, {arguments.threads} thread(s)", title_justify="left")
    table.add_column("Model")
    table.add_column("M MACs", justify="right")
    for way in ways:
        for batch in BATCHES:
            table.add_column(f"{way}\n{batch:,}", justify="right")
    table.add_column(f"÷ DLRM's\n{BATCHES[-1]:,}", justify="right")
    dlrm = milliseconds["model"]["DLRM", BATCHES[-1]]
    for title, build in builders.items():
        macs = network_cost(build, DENSE, SPARSE, settings.dim_s).macs
        cells = [f"{milliseconds[way][title, batch]:.3g}" for way in ways for batch in BATCHES]
        ratio = milliseconds["model"][title, BATCHES[-1]] / dlrm
        table.add_row(title, f"{macs / 1e6:.2f}", *cells, f"{ratio:.2f}")
    Console(width=140).print(table)


def by_onnx(model: CTRModel, threads: int) -> Callable[[Tensor, Tensor], Tensor]:
    """Return what answers with ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    with tempfile.TemporaryDirectory() as folder:
        write_onnx(export_program(model, DENSE), Path(folder))
        session = onnxruntime.InferenceSession(Path(folder) / onnx_program.FILES[0], options)
    return lambda dense, sparse: session.run(None, {"dense": dense.numpy(), "sparse": sparse.numpy()})[0]


@torch.inference_mode()
def measure(
    calls: dict[str, Callable[[Tensor, Tensor], Tensor]], table_rows: int, seconds: float
) -> dict[tuple[str, int], float]:
    """Return the median milliseconds of each call (title, batch); `seconds` go to each."""
    generator = torch.Generator().manual_seed(1)
    found = {}
    for batch in BATCHES:
        dense = torch.randn(batch, DENSE, generator=generator)
        sparse = torch.randint(0, table_rows, (batch, SPARSE), generator=generator)
        times: dict[str, list[float]] = {title: [] for title in calls}
        for call in calls.values():
            call(dense, sparse)
        until = time.perf_counter() + seconds * len(calls)
        while time.perf_counter() < until:
            for title, call in calls.items():
                start = time.perf_counter()
                call(dense, sparse)
                times[title].append(time.perf_counter() - start)
        found.update({(title, batch): float(np.median(each)) * 1e3 for title, each in times.items()})
    return found


if __name__ == "__main__":
    main()

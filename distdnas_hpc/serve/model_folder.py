"""A trained model as a folder that needs nothing else: no run, no prepared data.

MODEL/model.yaml     what it is: config, architecture, columns, statistics, checksums of the other files
MODEL/weights.pt     the CTRModel's state_dict
MODEL/ids.h5         of each column whose tokens have ids of their own, the tokens in the order of their ids
MODEL/program.pt2    a torch.export program, for servers without this package
MODEL/program.onnx   the same as an ONNX program, where it is asked for; its weights are in program.onnx.data
"""

import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from distdnas_hpc import __version__
from distdnas_hpc.config import Config
from distdnas_hpc.data.decode import standardise
from distdnas_hpc.data.hdf5 import open_hdf5
from distdnas_hpc.data.ids import ExactIds, HashedIds, IdMap
from distdnas_hpc.data.manifest import Manifest
from distdnas_hpc.data.rows import Columns
from distdnas_hpc.data.shards import file_sha256
from distdnas_hpc.errors import UserError
from distdnas_hpc.nn.architecture import Architecture
from distdnas_hpc.nn.embedding import Embedding
from distdnas_hpc.nn.model import CTRModel
from distdnas_hpc.serve import onnx_program
from distdnas_hpc.storage import read_yaml, write_yaml
from distdnas_hpc.train.candidates import Candidate
from distdnas_hpc.train.metrics import probabilities
from distdnas_hpc.train.models import build_network, title

FILES = ("weights.pt", "ids.h5", "program.pt2")
"""Of every model's folder, beside model.yaml."""


class ServedModel(NamedTuple):
    """A model, ready to answer.

    Attributes
    ----------
    config : of the experiment that it comes from.
    title : as tables show it.
    model : in evaluation mode, on the CPU.
    maps : of each categorical column, from tokens to ids.
    mean, std : (dense,) of f(x) over the training days.
    """

    config: Config
    title: str
    model: CTRModel
    maps: tuple[IdMap, ...]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]

    def features(self, rows: Columns) -> tuple[Tensor, Tensor]:
        """Return dense features (n, dense) and ids (n, sparse) of rows with tokens in `sparse`, as a `Feed` does.

        Tokens that training never saw get id 0, or, in a hashed column, the row that their hash names.
        """
        n = len(rows.label)
        dense = torch.empty(n, len(rows.dense))
        sparse = torch.empty(n, len(rows.sparse), dtype=torch.int64)
        values, ids = np.empty(n, np.float32), np.empty(n, np.int32)
        for j, (mean, scale) in enumerate(zip(self.mean, 1 / self.std, strict=True)):
            standardise(np.ascontiguousarray(rows.dense[j]), mean, scale, values)
            dense[:, j] = torch.from_numpy(values)
        for j, ids_of in enumerate(self.maps):
            ids_of.look_up(np.ascontiguousarray(rows.sparse[j]), ids)
            sparse[:, j] = torch.from_numpy(ids)
        return dense, sparse

    @torch.inference_mode()
    def predict(self, rows: Columns) -> NDArray[np.float64]:
        """Return the click probabilities (n,) of rows with tokens in `sparse`."""
        return probabilities(self.model(*self.features(rows)).numpy())


class Program(nn.Module):
    """What is exported: from features to probabilities, with nothing that only training or a CPU's cache asks for."""

    def __init__(self, model: CTRModel) -> None:
        super().__init__()
        self.embedding = model.embedding
        self.network = model.network

    def forward(self, dense: Tensor, sparse: Tensor) -> Tensor:
        """Return probabilities (B,) of dense features (B, dense) and ids (B, sparse)."""
        return torch.sigmoid(self.network(dense, self.embedding(sparse)).double())


def export_model(
    config: Config,
    candidate: Candidate,
    architecture: Architecture | None,
    manifest: Manifest,
    trained: Path,
    out: Path,
    *,
    onnx: bool = False,
) -> None:
    """Write a model's folder, whole or not at all.

    Parameters
    ----------
    trained : folder of the model's train task.
    out : the new folder; there is nothing yet.
    onnx : with an ONNX program too.

    Raises
    ------
    UserError : something is there already, the weights are missing or damaged, or ONNX's packages are missing.
    """
    if onnx:
        onnx_program.require_onnx()
    if out.exists():
        raise UserError(f"{out} exists already; nothing was changed. Give --out a new name.")
    columns = {
        "table_sizes": list(manifest.table_sizes),
        "dense_mean": list(manifest.dense_mean),
        "dense_std": list(manifest.dense_std),
    }
    told = {
        "version": __version__,
        "title": title(candidate, config.strategy),
        "candidate": candidate._asdict(),
        "architecture": None if architecture is None else architecture.to_dict(),
        **columns,
        "config": config.to_dict(),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.{uuid.uuid4().hex[:12]}.tmp")
    temporary.mkdir()
    try:
        shutil.copyfile(trained / "model.pt", temporary / "weights.pt")
        shutil.copyfile(manifest.folder / "ids.h5", temporary / "ids.h5")
        model = _model(told, temporary / "weights.pt", config)
        program = export_program(model, len(manifest.dense_mean))
        torch.export.save(program, temporary / "program.pt2")
        if onnx:
            onnx_program.write_onnx(program, temporary)
        names = (*FILES, *(onnx_program.FILES if onnx else ()))
        write_yaml(temporary / "model.yaml", {**told, "files": {name: file_sha256(temporary / name) for name in names}})
        temporary.rename(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def export_program(model: CTRModel, dense: int) -> torch.export.ExportedProgram:
    """Return the program of a model with so many dense columns, for batches of any size."""
    sparse = len(model.embedding.offsets)
    batch = torch.export.Dim("batch", min=1)
    example = torch.zeros(2, dense), torch.zeros(2, sparse, dtype=torch.int64)
    with torch.no_grad():
        return torch.export.export(
            Program(model).eval(), example, dynamic_shapes=({0: batch}, {0: batch}), strict=False
        )


def load_model(folder: Path) -> ServedModel:
    """Load what `export_model` wrote.

    Raises
    ------
    UserError : it is not a model's folder, or a file in it is missing or has changed.
    """
    if not (folder / "model.yaml").is_file():
        raise UserError(f"{folder} is not a model's folder (no model.yaml in it); make one with 'distdnas export'.")
    told = read_yaml(folder / "model.yaml")
    for name, sha256 in told["files"].items():
        path = folder / name
        if not path.is_file() or file_sha256(path) != sha256:
            fault = "has changed since it was exported" if path.is_file() else "is missing"
            raise UserError(f"{path} {fault}; export the model again.")
    config = Config.model_validate(told["config"])
    names = config.data.schema_.sparse_names
    with open_hdf5(folder / "ids.h5") as file:
        maps: tuple[IdMap, ...] = tuple(
            ExactIds(file[name][:]) if name in file else HashedIds(rows)
            for name, rows in zip(names, told["table_sizes"], strict=True)
        )
    model = _model(told, folder / "weights.pt", config)
    return ServedModel(
        config, told["title"], model.eval(), maps, np.array(told["dense_mean"]), np.array(told["dense_std"])
    )


def _model(told: Mapping[str, Any], weights: Path, config: Config) -> CTRModel:
    """Build the model, and take its weights from the file, which stays mapped: memory holds them once."""
    architecture = None if told["architecture"] is None else Architecture.from_dict(told["architecture"])
    schema = config.data.schema_
    with torch.device("meta"):
        network = build_network(Candidate(**told["candidate"]), config, schema.dense, schema.sparse, architecture)
        model = CTRModel(Embedding(told["table_sizes"], config.model.dim_s), network)
    state = torch.load(weights, map_location="cpu", mmap=True, weights_only=True)
    model.load_state_dict(state, assign=True)
    return model.requires_grad_(False)

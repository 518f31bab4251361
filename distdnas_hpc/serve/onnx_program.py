"""A model as an ONNX program, for servers without torch; an optional part."""

import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from distdnas_hpc.errors import UserError

FILES = ("program.onnx", "program.onnx.data")
"""The program, and its weights: beside it, because a file of ONNX can't be larger than 2 GB."""

PACKAGES = ("onnx", "onnxscript")


def require_onnx() -> None:
    """See that torch can export ONNX.

    Raises
    ------
    UserError : it can't: a package is missing.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"--onnx needs the packages onnx and onnxscript (missing: {', '.join(missing)}); install them with "
            "pip install 'distdnas-hpc[onnx]', or export without --onnx."
        )


def write_onnx(program: torch.export.ExportedProgram, folder: Path) -> None:
    """Write `FILES` into a folder: the program's inputs, `dense` and `sparse`, and its output, `probability`."""
    with _quiet(), torch.no_grad():
        converted = torch.onnx.export(program, output_names=["probability"], dynamo=True, verbose=False)
        assert converted is not None  # it is, where no file's name is given
        converted.save(folder / FILES[0], external_data=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch from warning of its own code, and of torchvision's operations, which are not used here."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logger.setLevel(before)

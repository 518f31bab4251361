"""Trained models: export, predict."""

from pathlib import Path
from typing import Annotated

import typer

from distdnas_hpc.cli.app import app, err, out
from distdnas_hpc.cluster.display import ForegroundProgress
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.models import export as export_trained


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, e.g. runs/quickstart.")],
    out_folder: Annotated[Path, typer.Option("--out", metavar="DIR", help="The model's new folder.")],
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="A folder of RUN/train. Default: the discovered network.")
    ] = None,
) -> None:
    """Write a trained model as a folder that needs no run: weights, id maps, statistics, and a torch.export program.

    'distdnas predict' answers with it.
    """
    told = export_trained(RunFolder(folder), model, out_folder)
    out.print(f"{told}: {out_folder}. Use it with: distdnas predict {out_folder} FILE", soft_wrap=True, highlight=False)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A folder that 'distdnas export' wrote.")],
    raw: Annotated[Path, typer.Argument(metavar="FILE", help="Raw rows, as the model was trained on, maybe gzipped.")],
    out_file: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="A text file. Default: the standard output.")
    ] = None,
) -> None:
    """Give the click probability of each raw row, one a line, in the rows' order. The rows need no label."""
    from distdnas_hpc.serve.model_folder import load_model
    from distdnas_hpc.serve.predict import predict_file

    served = load_model(model)
    with ForegroundProgress(err, "predict") as progress:
        rows = predict_file(served, raw, out_file, progress)
    if out_file is not None:
        out.print(f"{rows:,} probabilities of {served.title}: {out_file}", soft_wrap=True, highlight=False)

"""What models cost, for a terminal."""

import io

from rich.console import Console

from distdnas_hpc.report.models_table import models_table


def row(title: str, macs: int, interactions: int, parameters: int | None, paper=(None, None)) -> dict:
    return {
        "title": title,
        "macs": macs,
        "interaction_parameters": interactions,
        "parameters": parameters,
        "paper_macs": paper[0],
        "paper_interaction_parameters": paper[1],
    }


def printed(*rows: dict, notes: tuple[str, ...] = ()) -> list[str]:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(models_table({"models": rows, "notes": notes}))
    return console.export_text().splitlines()


def test_counts_stand_beside_the_papers_with_their_difference():
    lines = printed(row("DLRM", 1_787_808, 1_700_000, 453_600_000, (1.79e6, 1.78e6)))
    assert lines[-1].split() == ["DLRM", "1.788", "1.79", "−0.1%", "1.700", "1.78", "−4.5%", "453.60"]


def test_what_is_not_known_is_empty_and_a_note_says_why():
    lines = printed(row("MaskNet", 14_347_264, 14_368_769, None), notes=("Params need the data: prepare it first.",))
    assert lines[-2].split() == ["MaskNet", "14.347", "14.369"]
    assert lines[-1] == "Params need the data: prepare it first."


def test_the_widest_row_fits_80_columns():
    lines = printed(row("DistDNAS (θ=0.25, M=4)", 17_870_000, 17_320_000, 459_140_000, (7.87e6, 7.32e6)))
    assert lines[-1].split()[-7:] == ["17.870", "7.87", "+127.1%", "17.320", "7.32", "+136.6%", "459.14"]

"""What is true about planted days, for a terminal."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table


def planted_table(truths: Sequence[dict[str, Any]]) -> Table:
    """Draw what `data.planted_days` returns: a day a line, with the best possible scores."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for header in ("Day", "Rows", "Clicks", "Bayes AUC", "Bayes LogLoss", "Bayes NE"):
        table.add_column(header, justify="right", no_wrap=True)
    for truth in truths:
        bayes = truth["bayes"]
        table.add_row(
            str(truth["day"]),
            f"{truth['rows']:,}",
            f"{truth['clicks'] / truth['rows']:.2%}",
            f"{bayes['auc']:.4f} ± {bayes['auc_standard_error']:.4f}",
            f"{bayes['logloss']:.5f} ± {bayes['logloss_standard_error']:.5f}",
            f"{bayes['ne']:.4f}",
        )
    return table

"""What the paper reports, to set beside a run (Zhang et al., Tables I and II; Criteo Terabyte, tested on day 24)."""

from typing import NamedTuple


class PaperRow(NamedTuple):
    """A row of Table I; MACs and parameters in millions, NE as a share of 1."""

    model: str
    macs: float
    parameters: float
    ne: float
    relative_ne_percent: float
    auc: float
    logloss: float


TABLE_1 = (
    PaperRow("DLRM", 1.79, 453.60, 0.8462, 0.0, 0.8017, 0.12432),
    PaperRow("DeepFM", 1.81, 453.64, 0.8450, -0.14, 0.8028, 0.12413),
    PaperRow("xDeepFM", 6.03, 454.14, 0.8460, -0.02, 0.8023, 0.12429),
    PaperRow("AutoInt", 2.16, 453.80, 0.8455, -0.08, 0.8024, 0.12421),
    PaperRow("DCN-v2", 8.08, 459.91, 0.8450, -0.14, 0.8031, 0.12413),
    PaperRow("xDeepInt", 8.08, 459.91, 0.8455, -0.08, 0.8027, 0.12421),
    PaperRow("NASRec-tiny", 0.57, 452.47, 0.8463, 0.01, 0.8014, 0.12437),
    PaperRow("AutoCTR-tiny", 1.02, 452.78, 0.8460, -0.02, 0.8017, 0.12429),
    PaperRow("DistDNAS (θ=0.25, M=1)", 1.97, 453.62, 0.8448, -0.17, 0.8030, 0.12410),
    PaperRow("DistDNAS (θ=0.2, M=1)", 3.11, 454.70, 0.8444, -0.21, 0.8032, 0.12405),
    PaperRow("DistDNAS (θ=0.25, M=2)", 3.94, 455.48, 0.8448, -0.17, 0.8033, 0.12410),
    PaperRow("DistDNAS (θ=0.25, M=3)", 5.90, 457.31, 0.8440, -0.26, 0.8035, 0.12399),
    PaperRow("DistDNAS (θ=0.25, M=4)", 7.87, 459.14, 0.8438, -0.29, 0.8039, 0.12395),
)

TABLE_2 = (
    ("SuperNet", "N/A", "no", "N/A"),
    ("One-shot DNAS", "no", "no", "N/A"),
    ("Fresh DNAS", "yes", "no", "N/A"),
    ("Distributed DNAS", "yes", "yes", "3.56M/0.8460"),
    ("DistDNAS", "yes", "yes", "3.11M/0.8444"),
)
"""Strategy, whether the search and whether training converges, MACs and NE."""

SEARCH_HOURS = 2, 50
"""Of the search as a task a day on 22 GPUs, and as one task over all days (§VI-A): the paper's 25 times."""

"""All baselines by name (`config.train.BASELINES`), with what the paper's Table I says of them."""

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from distdnas_hpc.config import Model
from distdnas_hpc.nn.baselines.autoctr_tiny import AutoCTRTiny
from distdnas_hpc.nn.baselines.autoint import AutoInt
from distdnas_hpc.nn.baselines.dcnv2 import DCNv2
from distdnas_hpc.nn.baselines.deepfm import DeepFM
from distdnas_hpc.nn.baselines.dlrm import DLRM
from distdnas_hpc.nn.baselines.logistic_regression import LogisticRegression
from distdnas_hpc.nn.baselines.masknet import MaskNet
from distdnas_hpc.nn.baselines.nasrec_tiny import NASRecTiny
from distdnas_hpc.nn.baselines.wide_deep import WideDeep
from distdnas_hpc.nn.baselines.xdeepfm import XDeepFM
from distdnas_hpc.nn.baselines.xdeepint import XDeepInt


class Baseline(NamedTuple):
    """A published model.

    Attributes
    ----------
    build : makes it from the dimensions and the data's numbers of dense and sparse columns.
    title : its name in tables and figures.
    paper_macs, paper_parameters : FLOPS(M) and Params(M) of Table I, as counts, embeddings among the parameters; None
        where the paper does not have the model.
    """

    build: Callable[[Model, int, int], nn.Module]
    title: str
    paper_macs: float | None = None
    paper_parameters: float | None = None


REGISTRY = {
    "logistic_regression": Baseline(LogisticRegression, "Logistic regression"),
    "wide_deep": Baseline(WideDeep, "Wide&Deep"),
    "dlrm": Baseline(DLRM, "DLRM", 1.79e6, 453.60e6),
    "deepfm": Baseline(DeepFM, "DeepFM", 1.81e6, 453.64e6),
    "xdeepfm": Baseline(XDeepFM, "xDeepFM", 6.03e6, 454.14e6),
    "autoint": Baseline(AutoInt, "AutoInt", 2.16e6, 453.80e6),
    "dcnv2": Baseline(DCNv2, "DCN-v2", 8.08e6, 459.91e6),
    "xdeepint": Baseline(XDeepInt, "xDeepInt", 8.08e6, 459.91e6),
    "masknet": Baseline(MaskNet, "MaskNet"),
    "nasrec_tiny": Baseline(NASRecTiny, "NASRec-tiny", 0.57e6, 452.47e6),
    "autoctr_tiny": Baseline(AutoCTRTiny, "AutoCTR-tiny", 1.02e6, 452.78e6),
}

PAPER_TABLES = 451.82e6
"""Parameters of the paper's embedding tables: Params less the weights of DLRM, DeepFM, DCN-v2 and xDeepInt, of which
every one leaves 451.82 M. Table I's interaction parameters are Params less these."""

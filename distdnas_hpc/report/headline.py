"""What a run found, in a sentence or two of plain words."""

import math

from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES
from distdnas_hpc.report.differences import BASELINE
from distdnas_hpc.report.results import Results
from distdnas_hpc.report.table import chance, detectable_difference, millions, significant
from distdnas_hpc.report.words import days_in_words


def headline(results: Results) -> str:
    """Say what the search kept and how the trained network compares with DLRM, as far as the run got."""
    return f"{_search(results)} {_training(results)}"


def _search(results: Results) -> str:
    found, config = results.found, results.config
    blocks = config.model.blocks
    modules = blocks * (len(DENSE_MODULES) + len(SPARSE_MODULES))
    where = f"{modules} interaction modules in {blocks} {'block' if blocks == 1 else 'blocks'}"
    if config.strategy == "supernet":
        return f"Nothing is searched: all {where} are kept."
    if found is None and config.strategy == "one_shot":
        return f"The search of {days_in_words(config.search.days)} in one task is not done; no architecture yet."
    if found is None:
        return f"{len(results.days)} of {len(config.search.days)} days are searched; no architecture yet."
    how = "In one task over" if config.strategy == "one_shot" else "Averaged over" if len(found.days) > 1 else "Of"
    return f"{how} {days_in_words(found.days)}, the search keeps {found.kept} of {where}."


def _training(results: Results) -> str:
    model, baseline = results.model("distdnas"), results.model(BASELINE)
    if model is None:
        return "The network is not trained yet."
    if not math.isfinite(model.auc):
        return (
            f"The network needs {millions(model.macs)} M MACs a sample; its AUC on day {model.test_day} is not defined."
        )
    if baseline is None:
        return (
            f"The network needs {millions(model.macs)} M MACs a sample and reaches AUC {model.auc:.4f} "
            f"and NE {model.ne:.4f} on day {model.test_day}."
        )
    difference = model.auc - baseline.auc
    direction = "higher" if difference > 0 else "lower"
    score = f"its AUC is {significant(abs(difference))} {direction}" if difference else "its AUC is the same"
    return f"The network needs {_macs(model.macs / baseline.macs)} {baseline.title}, and {score}{_chance(results)}."


def _macs(ratio: float) -> str:
    if ratio >= 2:
        return f"{ratio:.1f} times the MACs of"
    percent = round(abs(ratio - 1) * 100)
    return f"{percent}% {'more' if ratio > 1 else 'fewer'} MACs than" if percent else "as many MACs as"


def _chance(results: Results) -> str:
    """Judge the difference between DistDNAS and DLRM by a paired test, else by the largest that chance explains."""
    detectable = detectable_difference(results)
    model, baseline = results.model("distdnas"), results.model(BASELINE)
    if model is not None and model.difference is not None and math.isfinite(model.difference.auc_standard_error):
        return f", {chance(model)}" if model.difference.auc else ""
    if detectable is None or model is None or baseline is None or model.auc == baseline.auc:
        return ""
    if abs(model.auc - baseline.auc) < detectable:
        return f", too little to tell from chance on {model.test_rows:,} test rows"
    return f", more than chance in the draw of the {model.test_rows:,} test rows explains"

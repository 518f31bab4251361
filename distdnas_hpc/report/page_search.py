"""The report's sections on what the search found: the network, its weights, the days, the modules' costs."""

import math

from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES
from distdnas_hpc.report import figures
from distdnas_hpc.report.diagram import architecture_diagram
from distdnas_hpc.report.elements import absent, figure, legend, side_by_side, table
from distdnas_hpc.report.markup import Markup, join, tag
from distdnas_hpc.report.results import Results
from distdnas_hpc.report.table import millions
from distdnas_hpc.report.timeline import duration
from distdnas_hpc.report.words import days_in_words
from distdnas_hpc.search.learning import doubt


def architecture_section(results: Results) -> Markup:
    """Return the diagram of the kept network."""
    found = results.found
    if found is None:
        return absent("No architecture: the days’ weights were not aggregated in this run.")
    copies = results.config.train.copies
    many = " or ".join(filter(None, [", ".join(map(str, copies[:-1])), str(copies[-1])]))
    stacked = f" Final training stacks M = {many} independent copies of it side by side." if max(copies) > 1 else ""
    weight = "mean weight" if len(results.days) > 1 else "weight"
    return figure(
        architecture_diagram(found),
        f"Modules whose {weight} reaches θ={found.theta:g}; the best one where none does. "
        "The outputs of a block’s modules on one side are summed; double arrows are its mergers, dense to sparse and "
        "sparse to dense. "
        f"Blue: dense, orange: sparse.{stacked}",
    )


def weights_section(results: Results) -> Markup:
    """Return the heat maps of the mean weights."""
    found = results.found
    if found is None:
        return absent("No mean weights: the days’ weights were not aggregated in this run.")
    left_out = sorted(set(results.config.search.days) - set(found.days))
    note = absent(f"The mean is over {days_in_words(found.days)} only; without {days_in_words(left_out)}.")
    kept = f"each row sums to 1. Outlined modules are kept at θ={found.theta:g}."
    if len(results.days) > 1:
        spread = max(found.alpha_spread.max(), found.beta_spread.max())
        said = (
            f"Probabilities, averaged over {days_in_words(found.days)}; {kept} The largest standard deviation between "
            f"days is {spread:.3f}; hover over a cell for its own."
        )
    else:
        said = f"Probabilities after the search of {days_in_words(found.days)}; {kept}"
    maps = (
        (figures.weight_map("alpha", found), "α, the dense modules"),
        (figures.weight_map("beta", found), "β, the sparse modules"),
    )
    return join(note if left_out else None, side_by_side(maps, said))


def cost_section(results: Results) -> Markup:
    """Return the cost importance of the modules."""
    cost = results.cost
    if cost is None:
        return absent("No cost importance was found in this run.")
    bars = ((figures.cost_bars("dense", cost), "Dense modules"), (figures.cost_bars("sparse", cost), "Sparse modules"))
    return side_by_side(
        bars,
        "How much a module matters for a network’s cost: strong bars for block 1, faint bars for the later blocks, "
        "which share one value; the largest is 1. Permutation importances of a regression forest on "
        f"{cost.samples:,} sampled architectures (held-out R² {cost.r2:.3f}). The whole supernet has "
        f"{millions(cost.macs_full)} M MACs.",
    )


def search_section(results: Results) -> Markup:
    """Return the table of days, or of the single task over all, and how their weights went."""
    missing = results.missing_days
    note = (
        absent(f"Not searched: {days_in_words(missing)}. No result was found in this run; see ‘distdnas status’.")
        if missing
        else None
    )
    days = results.searches
    if not days:
        return join(note) if note else absent("Not searched: no result was found in this run; see ‘distdnas status’.")
    rows = [
        (
            day.what.removeprefix("days ").removeprefix("day "),
            f"{day.rows:,}",
            duration(day.seconds),
            f"{day.ne[0]:.3f} → {day.ne[-1]:.3f}" if day.ne else "–",
            f"{millions(day.expected_macs[0])} → {millions(day.expected_macs[-1])}",
        )
        for day in days
    ]
    blocks = range(days[0].alpha.shape[1])
    sides = (
        ("alpha", "α, weights of the dense modules", DENSE_MODULES),
        ("beta", "β, weights of the sparse modules", SPARSE_MODULES),
    )
    theta = results.config.search.theta[0]
    by_day = " and day; hover over a line for its day" if len(days) > 1 else ""
    trained = results.model("distdnas")
    reached = ""
    if trained is not None and not math.isnan(trained.ne):  # of a test day of one class it is not defined
        reached = f" The network that was trained reaches {trained.ne:.3f} on day {trained.test_day}."
    head = ("Days" if results.whole else "Day", "Rows", "Task time", "Supernet’s NE", "Expected MACs (M)")
    return join(
        note,
        table(head, rows, "narrow"),
        tag(
            "p",
            "Supernet’s NE: its LogLoss in the first and in the last quarter of the search, divided by the entropy of "
            f"the click rate. Weights mean something as far as it falls below 1.{reached}",
            class_="note",
        ),
        *(absent(f"{day.what.capitalize()}: {doubted}") for day in days if (doubted := doubt(day.ne))),
        *(
            join(
                tag("h3", heading),
                legend(names, "c"),
                tag("div", *(figures.weight_trajectories(side, i, days, theta) for i in blocks), class_="small"),
            )
            for side, heading, names in sides
        ),
        tag(
            "p",
            f"One line a module{by_day}. Dashed: θ={theta:g}.",
            class_="note",
        ),
        tag(
            "div",
            figure(
                figures.expected_macs(days),
                f"Mean MACs of networks drawn from the architecture weights{', one line a day' if by_day else ''}.",
            ),
            class_="grid",
        ),
    )

"""NASRec-tiny: what NASRec (Zhang et al., 2023) found on Criteo Kaggle, from the configuration that it published."""

from functools import partial

from distdnas_hpc.nn.baselines.searched import Found, SearchedNetwork

BLOCKS = {
    1: Found("sigmoid_gating", 128, "transformer", (0, 0), (0,), to_sparse=True),
    2: Found("dot_product", 32, "embed_fc", (0,), (0,)),
    3: Found("dot_product", 768, "embed_fc", (1, 2), (2, 1, 0), to_dense=True),
    7: Found("linear", 128, "transformer", (0, 3, 2), (3, 1), to_dense=True),
}
"""Blocks 4 to 6 were found too, but neither the logit nor block 7 reads them: nothing would train their weights."""

NASRecTiny = partial(SearchedNetwork, BLOCKS)

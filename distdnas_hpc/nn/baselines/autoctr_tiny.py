"""AutoCTR-tiny: what AutoCTR (Song et al., 2020) found on Criteo Kaggle, as NASRec's authors published it."""

from functools import partial

from distdnas_hpc.nn.baselines.searched import Found, SearchedNetwork

BLOCKS = {
    1: Found("linear", 256, "embed_fc", (0,), (0,), to_sparse=True),
    2: Found("dot_product", 1024, "embed_fc", (1,), (0, 1), to_sparse=True, to_dense=True),
    3: Found("linear", 128, None, (2, 0), ()),
    4: Found("linear", 16, "embed_fc", (2,), (0, 2), to_dense=True),
    5: Found("dot_product", 128, "embed_fc", (0, 2, 4, 3), (4, 2)),
    7: Found("linear", 1024, "embed_fc", (3, 0, 5), (5, 2, 1, 0)),
}
"""Nothing reads block 6 nor the sparse output of block 3 (embed_fc and a merger), so nothing would train them."""

AutoCTRTiny = partial(SearchedNetwork, BLOCKS)

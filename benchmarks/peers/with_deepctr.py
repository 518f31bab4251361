"""Training with DeepCTR-Torch's own `fit`: arguments are the model, threads, layers, units, rows of each table.

Its models have no layer below the dense features: they get as many as that layer has outputs, so that all networks
have the same widths. Adagrad, as in its example for Criteo, but no L2 (its default would visit all tables once more).
"""

import sys
from collections.abc import Callable

import torch
from deepctr_torch.inputs import DenseFeat, SparseFeat
from deepctr_torch.models import DCN, AutoInt, DeepFM
from serving import draw, serve

name, threads, layers, units, *tables = sys.argv[1], *map(int, sys.argv[2:])
torch.set_num_threads(threads)
DENSE = {"dcnv2": units, "deepfm": 16, "autoint": units}[name]
columns = [SparseFeat(f"C{j}", rows, embedding_dim=16) for j, rows in enumerate(tables)]
columns.append(DenseFeat("dense", DENSE))
options = {"dnn_hidden_units": (units,) * layers, "l2_reg_embedding": 0}
if name == "dcnv2":
    model = DCN(
        [], columns, cross_num=layers, cross_parameterization="matrix", l2_reg_linear=0, l2_reg_cross=0, **options
    )
elif name == "deepfm":
    model = DeepFM(columns, columns, l2_reg_linear=0, **options)
else:
    model = AutoInt([], columns, att_layer_num=layers, att_head_num=4, **options)
model.compile("adagrad", "binary_crossentropy")


def train(batch: int, steps: int) -> Callable[[], object]:
    """Return an epoch of so many batches, fed by its DataLoader."""
    dense, ids, label = draw(tables, DENSE, batch * steps)
    inputs = {f"C{j}": ids[:, j].astype("float32") for j in range(len(tables))} | {"dense": dense}
    return lambda: model.fit(inputs, label, batch_size=batch, epochs=1, verbose=0)


serve(train)

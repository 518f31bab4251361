"""Embeddings and network as one, in three precisions."""

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from distdnas_hpc.nn.architecture import Architecture
from distdnas_hpc.nn.embedding import Embedding
from distdnas_hpc.nn.model import CTRModel
from distdnas_hpc.nn.network import Mixing, Network
from tests.nn.heads import with_head

SIZES = (5, 20, 300)
ROWS = 64


def make(model, precision):
    torch.manual_seed(0)
    network = with_head(Network(Architecture.full(model.blocks), model, 2, len(SIZES)))
    return CTRModel(Embedding(SIZES, model.dim_s), network, precision)


def passes(ctr, device="cpu"):
    """Logits, and the gradients of the mixing weights, of all weights and of the looked-up embeddings."""
    generator = torch.Generator().manual_seed(1)
    dense = torch.randn(ROWS, 2, generator=generator).to(device)
    ids = torch.stack([torch.randint(size, (ROWS,), generator=generator) for size in SIZES], dim=1).to(device)
    mixing = Mixing(*(torch.rand(3, 5, generator=generator).to(device).requires_grad_() for _ in range(2)))
    ctr.to(device).zero_grad()
    logits = ctr(dense, ids, mixing)
    binary_cross_entropy_with_logits(logits, (ids[:, 0] % 2).float()).backward()
    ((_, of_embeddings),) = ctr.embedding.gradients
    gradients = [of_embeddings, *(side.grad for side in mixing), *(p.grad for p in ctr.network.parameters())]
    return [logits.detach().cpu(), *(gradient.cpu() for gradient in gradients)]


def error(found, exact):
    return float((found - exact).norm() / exact.norm())


def agree(found, exact, rounding):
    """All are float32, logits agree to within `rounding`, and gradients point the same way."""
    assert {tensor.dtype for tensor in found} == {torch.float32}
    assert 0 < error(found[0], exact[0]) < rounding
    assert (
        error(torch.cat([g.flatten() for g in found[1:]]), torch.cat([g.flatten() for g in exact[1:]])) < 4 * rounding
    )


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_cpus_compute_in_float32_whatever_is_asked_of_gpus(model, precision):
    for found, expected in zip(passes(make(model, precision)), passes(make(model, "float32"))):
        assert torch.equal(found, expected)


def test_in_bfloat16_products_lose_bits_and_everything_that_is_kept_is_float32(model, torchs_operations, monkeypatch):
    """What happens on a GPU, on a CPU in the same operations."""
    exact = passes(make(model, "float32"))
    autocast = torch.autocast
    monkeypatch.setattr(torch, "autocast", lambda device, dtype, enabled: autocast(device, dtype, enabled=True))
    agree(passes(make(model, "bf16")), exact, 0.05)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
@pytest.mark.parametrize(("precision", "rounding"), [("float32", 1e-5), ("tf32", 0.01), ("bf16", 0.05)])
def test_a_gpu_agrees_with_the_cpu_within_its_precision(model, precision, rounding, tf32_restored):
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    exact = passes(make(model, "float32"))
    agree(passes(make(model, precision), "cuda"), exact, rounding)

"""Each sparse module against its formula or torch's own implementation."""

import torch
from torch import nn

from distdnas_hpc.nn.architecture import SPARSE_MODULES
from distdnas_hpc.nn.block_input import Shape
from distdnas_hpc.nn.sparse_modules import PMA, SPARSE, EmbedFC, Identity3d, Linear3d, MultiHeadAttention, Transformer
from tests.nn.conftest import VECTORS, B


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def middle(layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
    """Mix the vectors of one row: (vectors in, dim_s) → (vectors out, dim_s)."""
    mixed = [sum(w * vector for w, vector in zip(weights, x)) for weights in layer.weight]
    return torch.stack(mixed) + layer.bias[:, None]


def torchs_attention(ours: MultiHeadAttention) -> nn.MultiheadAttention:
    """torch's multi-head attention with our weights."""
    theirs = nn.MultiheadAttention(ours.out.in_features, ours.heads, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key_value.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key_value.bias]))
        theirs.out_proj.load_state_dict(ours.out.state_dict())
    return theirs


def test_every_name_has_a_class_and_gives_n_s_vectors(model, shape, block_input):
    assert tuple(SPARSE) == SPARSE_MODULES
    for module in SPARSE.values():
        assert module(shape, model)(block_input).shape == (B, model.n_s, model.dim_s)


def test_identity3d_is_the_input_where_counts_agree(model, block_input):
    module = Identity3d(Shape(24, VECTORS), model.model_copy(update={"n_s": VECTORS}))
    assert torch.equal(module(block_input), block_input.sparse)
    assert not list(module.parameters())


def test_identity3d_and_embed_fc_mix_along_the_middle_axis(model, shape, block_input):
    identity, embed_fc = Identity3d(shape, model), EmbedFC(shape, model)
    close(identity(block_input)[2], middle(identity.project, block_input.sparse[2]))
    close(embed_fc(block_input)[2], middle(embed_fc.linear, block_input.sparse[2]))


def test_linear3d_maps_each_vector_alike(model, shape, block_input):
    module = Linear3d(shape, model)
    vectors = middle(module.project, block_input.sparse[1])
    close(module(block_input)[1, 3], (module.linear.weight @ vectors[3] + module.linear.bias).clamp(min=0))


def test_attention_is_torchs(model):
    ours = MultiHeadAttention(model.dim_s, model.heads)
    queries, vectors = torch.randn(B, 3, model.dim_s), torch.randn(B, 8, model.dim_s)
    found = ours(queries.transpose(0, 1), vectors.transpose(0, 1)).transpose(0, 1)
    close(found, torchs_attention(ours)(queries, vectors, vectors, need_weights=False)[0])


def test_attention_by_its_definition():
    """One head, one row: softmax(QKᵀ/√d)V, then the output projection."""
    ours = MultiHeadAttention(4, 1)
    x = torch.randn(3, 4)
    q, k, v = ours.query(x), ours.key_value(x)[:, :4], ours.key_value(x)[:, 4:]
    attended = torch.stack(
        [
            sum(p * v[j] for j, p in enumerate(torch.softmax(torch.stack([q[i] @ k[j] / 2 for j in range(3)]), 0)))
            for i in range(3)
        ]
    )
    close(ours(x[:, None], x[:, None])[:, 0], ours.out(attended))


def test_transformer_is_torchs_encoder_layer(model, shape, block_input):
    module = Transformer(shape, model)
    theirs = nn.TransformerEncoderLayer(model.dim_s, model.heads, model.dim_s, dropout=0.0, batch_first=True)
    theirs.self_attn = torchs_attention(module.attention)
    theirs.linear1, theirs.linear2 = module.feed_forward[0], module.feed_forward[2]
    theirs.norm1, theirs.norm2 = module.norm_attention, module.norm_feed_forward
    close(module(block_input), theirs(module.project(block_input.sparse)))


def test_pma_pools_by_attention_of_its_seeds(model, shape, block_input):
    module = PMA(shape, model)
    seeds = module.seeds.repeat(B, 1, 1)
    attended = torchs_attention(module.attention)(seeds, block_input.sparse, block_input.sparse)[0]
    hidden = nn.functional.layer_norm(seeds + attended, (model.dim_s,))
    expected = nn.functional.layer_norm(hidden + module.feed_forward(hidden), (model.dim_s,))
    close(module(block_input), expected)


def test_pma_does_not_care_about_the_order_of_its_inputs(model, shape, block_input):
    module = PMA(shape, model)
    shuffled = block_input._replace(sparse=block_input.sparse[:, torch.randperm(VECTORS)])
    close(module(block_input), module(shuffled))

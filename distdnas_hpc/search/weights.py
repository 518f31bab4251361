"""Architecture weights A and B: trained logits, their probabilities, Gumbel-softmax samples, the regularisation R."""

import torch
from torch import Tensor, nn

from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES
from distdnas_hpc.nn.network import Mixing


class ArchitectureWeights(nn.Module):
    """Logits of α and β for N blocks, all 0 at first, so that every module starts at probability 1/5.

    Attributes
    ----------
    alpha_logits, beta_logits : (N, 5), columns in the order of `DENSE_MODULES` and `SPARSE_MODULES`.
    """

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.alpha_logits = nn.Parameter(torch.zeros(blocks, len(DENSE_MODULES)))
        self.beta_logits = nn.Parameter(torch.zeros(blocks, len(SPARSE_MODULES)))

    def probabilities(self) -> Mixing:
        """Return α and β: the softmax of each block's logits."""
        return Mixing(torch.softmax(self.alpha_logits, dim=1), torch.softmax(self.beta_logits, dim=1))

    def sample(self, temperature: float, generator: torch.Generator) -> Mixing:
        """Draw mixing weights softmax((log α + g)/λ), g ~ Gumbel(0, 1) (paper §IV-A; Jang et al., 2017, eq. 2).

        One draw a block and side. λ (`temperature`, > 0) towards 0 gives one-hot samples of α, large λ gives uniform
        weights. Logits stand in for log α: they differ by a constant a block, which the softmax drops.

        Parameters
        ----------
        generator : of the CPU, so that every device draws the same.
        """
        return Mixing(
            _gumbel_softmax(self.alpha_logits, temperature, generator),
            _gumbel_softmax(self.beta_logits, temperature, generator),
        )

    def regularisation(self, importance: Mixing, gamma: float) -> Tensor:
        """Return R(A, B) = γ Σ_i Σ_j p_j(i)·s_j(i), a scalar (paper §IV-B).

        Parameters
        ----------
        importance : s of dense and sparse modules, (N, 5) each, 0 to 1.
        """
        p = self.probabilities()
        return gamma * ((p.dense * importance.dense).sum() + (p.sparse * importance.sparse).sum())


def _gumbel_softmax(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    # -log of an exponential variable is a Gumbel variable. Pinned memory would not help so small a copy.
    exponential = torch.empty(logits.shape).exponential_(generator=generator)
    gumbel = -exponential.log().to(logits.device, non_blocking=True)
    return torch.softmax((logits + gumbel) / temperature, dim=1)

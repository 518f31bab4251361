"""Days written from a known truth, to see whether a search finds it."""

from pydantic import Field, model_validator

from distdnas_hpc.config.section import Section


class Parts(Section):
    """What the click probability is made of: the standard deviation, in the logit, of each kind of interaction."""

    linear: float = Field(0.0, ge=0, description="a weight for each dense column and each token")
    products: float = Field(0.0, ge=0, description="inner products of tokens' hidden vectors, over pairs of columns")
    crosses: float = Field(0.0, ge=0, description="products of dense features, over pairs of columns")
    attention: float = Field(0.0, ge=0, description="one column's token selects which other column's token counts")

    @model_validator(mode="after")
    def _not_all_zero(self) -> "Parts":
        if not any(self.model_dump().values()):
            raise ValueError("give at least one of linear, products, crosses and attention a value above 0")
        return self


class Planted(Section):
    """A truth and the days drawn from it; `distdnas planted` writes them where `data.raw` says."""

    parts: Parts
    rows: int = Field(20_000, ge=1, description="rows of a day")
    seed: int = Field(1, ge=0, description="of the truth and the rows; the experiment's own seed does not change them")
    click_rate: float = Field(0.03, gt=0, lt=1, description="mean click probability of every day")
    columns: int = Field(6, ge=2, description="columns of each kind that matter, the first ones; the others are noise")
    tokens: int = Field(300, ge=2, description="distinct tokens of a column")
    exponent: float = Field(1.05, ge=0, description="the k-th most frequent token comes k^-exponent as often")
    rank: int = Field(4, ge=1, description="components of a hidden vector")
    missing: float = Field(0.05, ge=0, lt=1, description="share of missing values in every column")
    drift: float = Field(0.02, ge=0, description="radians that the truth turns by from day to day; 0: no drift")

"""Published models that a discovered network is measured against (paper, Table I; docs/models.md)."""

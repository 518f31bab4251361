"""Architecture weights, the cost model, one day's DNAS, aggregation and discretization."""

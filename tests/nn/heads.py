"""Networks whose logits differ from row to row from the start: a network's own head begins at 0."""

from distdnas_hpc.nn.network import Network


def with_head(network: Network) -> Network:
    """Give a network the head of torch's usual weights, and return it."""
    network.head.reset_parameters()
    return network

"""The networks, beside the paper."""

"""Fetching from the internet, politely and safely: the one way from the builder to the network."""

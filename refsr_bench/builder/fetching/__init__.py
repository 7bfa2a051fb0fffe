"""Fetches from the internet, politely and safely. The builder reaches the network only through this package."""

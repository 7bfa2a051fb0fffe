"""Fetching from the internet, politely."""

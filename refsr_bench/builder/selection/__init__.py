"""The choice of a reference for each query: people's decisions, their agreement, and the page that they use."""

"""Everything a network needs to be a method of the benchmark and to be trained."""

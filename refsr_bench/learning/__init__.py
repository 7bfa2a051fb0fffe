"""Everything that a network needs to run as a method of the benchmark and to be trained."""

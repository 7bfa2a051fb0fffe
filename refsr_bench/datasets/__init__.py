"""Data sets, one module per set; each exports ``DATASETS``."""

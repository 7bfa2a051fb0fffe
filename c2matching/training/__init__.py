"""The training of C2-Matching: losses, stages and configuration."""

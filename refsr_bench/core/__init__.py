"""Types, cards, errors, run files and the touching of files: what everything else stands on."""

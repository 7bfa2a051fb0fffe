"""The base of all other packages: types, cards, errors, run files and all access to files."""

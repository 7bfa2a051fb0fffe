"""Tables as text in the formats that people paste and programs read."""

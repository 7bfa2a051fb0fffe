"""How far a reference can turn, shrink or spoil before a method breaks."""

"""What every network needs to be a method and to be trained."""

"""The code that data sets share: preparing, archives, manifests, layouts, leaks, the split, Hugging Face."""

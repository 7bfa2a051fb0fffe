"""What data sets share: preparing, archives, manifests, layouts, leaks, Hugging Face."""

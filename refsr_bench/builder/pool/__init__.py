"""The pool: candidates for each query, from folders on this machine and from providers on the web."""

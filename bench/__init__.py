"""Puna beside its peers: the same file, the same work, in one run."""

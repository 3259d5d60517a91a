"""Failures as an operator meets them, tried on real processes: nothing is lost, nothing doubled, all told in words."""

"""Observed sites whose log density costs the same whatever the number of rows: by statistics of the data."""

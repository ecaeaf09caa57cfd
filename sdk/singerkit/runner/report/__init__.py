"""What people and monitors are shown of runs: the summary of one, the state of all, pages and metrics."""

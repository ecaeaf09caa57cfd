"""What happens to a record on its way, one module a step; each step is compiled once per stream."""

"""One attempt at `tap | mappers | target`: processes that end together, whole lines, states from the target only.

`attempt` is the loop; it owns `children` (processes), `forward` (the data between two of them), `log_lines` (their
stderr) and `acknowledged` (the target's states). `outcome` says what the end of it all means.
"""

"""`singerkit port`: moves a connector from ``singer_sdk`` to singerkit.

:mod:`project` reads a folder and gives what is to change and what can't be moved; :mod:`source` rewrites one Python
file, :mod:`overrides` judges its classes, :mod:`dependencies` rewrites `pyproject.toml`. What became of each name is
data in :mod:`singerkit.compat`.
"""

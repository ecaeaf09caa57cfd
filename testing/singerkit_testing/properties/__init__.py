"""Rules that generate their input; importing this package adds them to the lists of rules. Needs hypothesis."""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

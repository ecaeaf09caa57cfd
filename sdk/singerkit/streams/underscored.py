"""Attributes that connectors set under their private name: ``self._primary_keys = ["id"]`` in ``__init__``."""

from __future__ import annotations

from typing import Any


class Underscored:
    """The private name of an attribute: setting the one sets the other.

    Where the author's class computes the attribute, the private name is a place of its own, for that code to use.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._private, self._public = name, name.removeprefix("_")

    def __get__(self, instance: object | None, owner: type) -> Any:
        """Give what was set; before that what the attribute has, unless that is computed."""
        if instance is None:
            return self
        if self._private in instance.__dict__ or self._is_computed(type(instance)):
            return instance.__dict__.get(self._private)
        return getattr(instance, self._public)

    def __set__(self, instance: object, value: Any) -> None:
        """Keep the value, and set the attribute to it."""
        if self._is_computed(type(instance)):
            instance.__dict__[self._private] = value
        else:
            setattr(instance, self._public, value)

    def _is_computed(self, owner: type) -> bool:
        return hasattr(getattr(owner, self._public, None), "__get__")

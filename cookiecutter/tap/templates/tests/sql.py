"""The tests of the tap, with the database of the demo."""

from pathlib import Path

from singerkit_testing import get_tap_test_class

from {{ cookiecutter.__module }}.tap import {{ cookiecutter.__class }}

DATABASE = Path(__file__).parents[1] / "demo/{{ cookiecutter.__name }}.sqlite"
CONFIG = {"sqlalchemy_url": f"sqlite:///{DATABASE}"}

# Discovery, each stream, each property, and each rule of the Singer specification.
Test{{ cookiecutter.__class }} = get_tap_test_class({{ cookiecutter.__class }}, config=CONFIG)


def test_tables_are_streams() -> None:
    """Keys and types come from the database."""
    orders = {{ cookiecutter.__class }}(config=CONFIG).streams["orders"]
    assert orders.primary_keys == ("id",)
    assert orders.schema["properties"]["updated_at"]["format"] == "date-time"
    records = [order for order in orders.get_records(None) if isinstance(order, dict)]
    assert [order["id"] for order in records] == [11, 12, 13, 14, 15]

{% set headers = {
  "none": "{}",
  "bearer": '{"Authorization": f"Bearer {self.config[\'token\']}"}',
  "api-key": '{"X-Api-Key": self.config["api_key"]}',
  "basic": "{}",
}[cookiecutter.__auth] %}
"""How a batch of records gets to the API."""

from typing import Any
from urllib.parse import quote

import msgspec
import requests
from singerkit import BatchSink

TIMEOUT_S = 60
as_json = msgspec.json.Encoder(decimal_format="number").encode  # every digit of a decimal


class APISink(BatchSink):
    """Sends each batch to the stream's own path; the API is to replace what has the same key."""

    max_size = 500  # records in a request
    exact_numbers = True  # decimals, not floats
    parse_datetimes = False  # instants stay the text that they came as

    def setup(self) -> None:
        """Open the connection."""
        self.url = f"{self.config['api_url']}/{quote(self.stream_name, safe='')}"
        self.session = requests.Session()
        self.session.headers["Content-Type"] = "application/json"
{% if cookiecutter.__auth == "basic" %}
        self.session.auth = (self.config["username"], self.config["password"])
{% elif cookiecutter.__auth != "none" %}
        self.session.headers.update({{ headers }})
{% endif %}

    def process_batch(self, context: dict[str, Any]) -> None:
        """Send the batch: when this returns, the API has stored it."""
        body = as_json({"keys": self.key_properties, "records": context["records"]})
        self.session.post(self.url, data=body, timeout=TIMEOUT_S).raise_for_status()

    def clean_up(self) -> None:
        """Close the connection."""
        self.session.close()

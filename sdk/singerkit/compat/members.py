"""Members that connectors read or call on their streams, taps, targets and sinks, and that are not there.

Beside those whose override is refused (:mod:`singerkit.compat.overrides`): what nothing calls can't be called either,
unless it is there to be read. Read by ``singerkit port``.
"""

from __future__ import annotations

from collections.abc import Mapping

_CATALOG = "the catalog that the user gave is self._tap.input_catalog"
_COUNTS = "the engine counts records, and logs the counts as metrics"
_DRAINS = "the engine keeps the records of a batch: they are context['records'] in process_batch(context)"
_COMMAND = "the command is made from the class: its options are those of every connector"
_STATES = "the state has one owner, which is not the connector: read it as self.state"

#: By the name of the class that an author subclasses.
MISSING_MEMBERS: Mapping[str, Mapping[str, str]] = {
    "Stream": {
        "_tap_input_catalog": _CATALOG,
        "_stream_maps": "maps belong to the setting stream_maps: change records in post_process(row, context)",
        "_write_request_duration_log": "the client measures each request, and logs it as a metric",
        "context": "several contexts are read at the same time: use the argument context of the hook",
        "log": "use self.logger",
        "log_sync_costs": "costs are logged at the end of the stream",
        "mask": "what is selected is decided by the engine: read it from self._tap.catalog",
    },
    "Tap": {
        "_catalog": "the catalog is self.catalog",
        "_input_catalog": _CATALOG.replace("self._tap", "self"),
        "_state": _STATES,
        "_state_writer": _STATES,
        "_streams": "the streams are self.streams",
        "config_from_cli_args": _COMMAND,
        "mapper": "maps belong to the setting stream_maps: change records in post_process(row, context)",
        "print_about": _COMMAND,
        "print_version": _COMMAND,
    },
    "Target": {
        "_sinks_active": "the engine opens one sink a stream and schema: give its class in get_sink_class(stream_name)",
        "mapper": "maps belong to the setting stream_maps: change records in preprocess_record(record, context)",
        "print_about": _COMMAND,
        "print_version": _COMMAND,
    },
    "Sink": {
        "latest_state": "a state is released when everything before it is durable; none is there to be read",
        "record_counter_metric": _COUNTS,
        "records_to_drain": _DRAINS,
        "tally_record_read": _COUNTS,
    },
}

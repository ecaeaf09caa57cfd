"""Reading the first records of one stream, and seeing what is asked and answered meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from singerkit.clock import monotonic, utc_now_text
from singerkit.engine.plan import StreamPlan, TapPlan
from singerkit.engine.sample import sample_records
from singerkit.http.intercept import Forward, intercepted
from singerkit.http.scrub import Pairs, Scrubber

if TYPE_CHECKING:
    import requests

    from singerkit.records.pipeline import Pipeline
    from singerkit.types import Context, Record

#: Records that are read beyond those that are shown, so that the page which they are on is read to its end.
_MOST_BEYOND = 100_000
_END = object()
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


class Enough(BaseException):
    """Ends the reading: it is raised where one more request would be sent, and no author's code catches it."""


@dataclass(slots=True)
class Exchange:
    """A request and what came of it.

    Shape: ``records`` counts those that came before the next request of the same stream. ``is_page``: the paginator has
    looked at it; then ``next_token`` is ``None`` for the last page. ``trouble`` is why there is no answer, or what came
    after it; ``response`` is kept where it tells of an error.

    Units: ``size`` bytes of the body as it was transferred; ``seconds`` to its last byte.
    """

    stream: str
    method: str
    path: str
    query: Pairs
    status: int | None = None
    reason: str = ""
    seconds: float = 0.0
    size: int = 0
    records: int = 0
    is_page: bool = False
    next_token: Any = None
    trouble: str = ""
    response: requests.Response | None = None


@dataclass(slots=True)
class Reading:
    """What has been read.

    Shape: stream maps can split a stream, so ``records`` and ``properties``, those of its schema, go by the name of the
    output. ``exchanges`` are in their order.
    """

    records: dict[str, list[Record]] = field(default_factory=dict)
    properties: dict[str, list[str]] = field(default_factory=dict)
    exchanges: list[Exchange] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many records there are."""
        return sum(map(len, self.records.values()))


class Watch:
    """Reads one stream, in one thread; ``show(exchange)`` is called when nothing more will be known of an exchange."""

    def __init__(self, scrubber: Scrubber, show: Callable[[Exchange], None]) -> None:
        self.reading = Reading()
        self._scrubber = scrubber
        self._show = show
        self._latest: dict[str, Exchange] = {}
        self._stream = ""
        self._has_enough = False

    def read(self, plan: TapPlan, stream: str, limit: int, pipeline: Pipeline | None) -> None:
        """Read so many records; no request is sent after the one that gave the last of them.

        With a ``pipeline`` records are as they would go out, otherwise as they come.

        Errors: what reading gives.
        """
        self._stream = stream
        outputs = {each.name: list(each.schema.get("properties", ())) for each in pipeline.outputs} if pipeline else {}
        self.reading.properties = outputs or {stream: []}
        self.reading.records = {name: [] for name in self.reading.properties}
        watched = TapPlan(tuple(map(self._watched, plan.roots)), plan.streams)
        records = sample_records(watched, stream)
        with intercepted(self._answer), self._showing_the_last(), suppress(Enough):
            for record in records:
                self._take(record, pipeline)
                if self.reading.count >= limit:
                    self._read_to_the_next_request(records)
                    break

    def _take(self, record: Record, pipeline: Pipeline | None) -> None:
        if pipeline is None:
            self.reading.records[self._stream].append(record)
            return
        for line in pipeline.render([record], utc_now_text()).splitlines():
            message = _decode(line)
            self.reading.records[message["stream"]].append(message["record"])

    @contextmanager
    def _showing_the_last(self) -> Iterator[None]:
        try:
            yield
        finally:
            if self.reading.exchanges:
                self._show(self.reading.exchanges[-1])

    def _read_to_the_next_request(self, records: Iterator[Record]) -> None:
        """Let the page come to its end, so that its number of records and the token of the next one are known."""
        if not self.reading.exchanges:
            return
        self._has_enough = True
        try:
            for _ in islice(records, _MOST_BEYOND):
                pass
        except Exception as failure:  # noqa: BLE001  # it has nothing to do with the records that were asked for
            self.reading.exchanges[-1].trouble = f"{type(failure).__name__}: {failure}"

    # What is asked and answered

    def _answer(self, request: requests.PreparedRequest, forward: Forward) -> requests.Response:
        if self._has_enough:
            raise Enough
        self._scrubber.learn(request)
        url = request.url or ""
        exchange = Exchange(self._stream, request.method or "", self._scrubber.path(url), self._scrubber.query(url))
        if self.reading.exchanges:
            self._show(self.reading.exchanges[-1])
        self.reading.exchanges.append(exchange)
        self._latest[self._stream] = exchange
        started = monotonic()
        try:
            response = forward(request)
        except Exception as failure:
            exchange.trouble, exchange.seconds = type(failure).__name__, monotonic() - started
            raise
        exchange.status, exchange.reason = response.status_code, response.reason or ""
        exchange.seconds = monotonic() - started
        if not response.ok:
            exchange.response = response
        response.raw = _MeasuredBody(response.raw, exchange, started)
        return response

    # What is read

    def _watched(self, plan: StreamPlan) -> StreamPlan:
        spec = plan.spec
        pages, name = spec.read_pages, spec.name

        def read(context: Context | None) -> Iterator[Any]:
            return self._counted(name, lambda: spec.read(context), lambda _: 1)

        def read_pages(context: Context | None, reading: Any) -> Iterator[Sequence[Record]]:
            return self._counted(name, lambda: pages(context, reading) if pages else (), len)

        watched = replace(spec, read=read, read_pages=None if pages is None else read_pages)
        return replace(plan, spec=watched, children=tuple(map(self._watched, plan.children)))

    def _counted(self, stream: str, begin: Callable[[], Any], count: Callable[[Any], int]) -> Iterator[Any]:
        with self._within(stream):
            items = iter(begin())
        while True:
            with self._within(stream):
                item = next(items, _END)
            if item is _END:
                return
            if stream in self._latest:
                self._latest[stream].records += count(item)
            yield item

    @contextmanager
    def _within(self, stream: str) -> Iterator[None]:
        outer, self._stream = self._stream, stream
        try:
            yield
        finally:
            self._stream = outer

    def watch_paginators(self, stream: Any) -> None:
        """Learn of the page tokens of a stream object, if it has paginators."""
        make = getattr(stream, "get_new_paginator", None)
        if make is None:
            return

        def get_new_paginator() -> Any:
            paginator = make()
            if paginator is not None:
                self._watch_paginator(stream.name, paginator)
            return paginator

        stream.get_new_paginator = get_new_paginator

    def _watch_paginator(self, stream: str, paginator: Any) -> None:
        move_on = paginator.advance

        def advance(response: requests.Response) -> None:
            exchange = self._latest.get(stream)
            if exchange is not None:
                exchange.is_page = True
            move_on(response)
            if exchange is not None:
                exchange.next_token = None if paginator.finished else paginator.current_value

        paginator.advance = advance


class _MeasuredBody:
    """A response's body that notes how large it is and when it was there."""

    def __init__(self, raw: Any, exchange: Exchange, started: float) -> None:
        self._raw = raw
        self._exchange = exchange
        self._started = started

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[bytes]:
        """Give the body in pieces."""
        for piece in self._raw.stream(*args, **kwargs):
            self._exchange.size += len(piece)
            self._exchange.seconds = monotonic() - self._started
            yield piece

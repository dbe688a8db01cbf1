"""Prometheus metrics of a server, served at ``/metrics``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counters, histograms and gauges; two read the numbers of products and of queued queries."""

    def __init__(self, products: Callable[[], float], waiting: Callable[[], float]) -> None:
        # The global registry rejects duplicate names, and a process may serve several indexes.
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        seconds = partial(Histogram, registry=registry, buckets=_SECONDS)
        self.requests = Counter("shopsight_requests", "Completed requests.",
                                ("route", "method", "status"), registry=registry)  # fmt: skip
        self.seconds = seconds("shopsight_request_seconds", "Duration of requests.", ("route",))
        self.rejected = Counter("shopsight_rejected", "Requests rejected by the middleware.",
                                ("reason",), registry=registry)  # fmt: skip
        self.stages = seconds("shopsight_stage_seconds", "Duration of search stages.", ("stage",))
        self.batches = Histogram(
            "shopsight_batch_queries", "Queries per batch.", registry=registry, buckets=_SIZES
        )
        gauge = partial(Gauge, registry=registry)
        self.in_flight = gauge("shopsight_requests_in_flight", "Requests in progress.")
        gauge("shopsight_products", "Products in the index.").set_function(products)
        gauge("shopsight_queries_waiting", "Queued queries.").set_function(waiting)

    def text(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self._registry)

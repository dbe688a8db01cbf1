"""What Prometheus reads at ``/metrics``; every server has a registry of its own."""

from __future__ import annotations

from collections.abc import Callable

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
    """Counters of one server.

    Args:
        products: how many products the index holds now.
        waiting: how many queries wait for their batch now.
    """

    def __init__(self, products: Callable[[], float], waiting: Callable[[], float]) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "shopsight_requests", "Requests answered.", ("route", "method", "status"),
            registry=registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "shopsight_request_seconds", "Time to answer.", ("route",),
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.refused = Counter(
            "shopsight_refused", "Requests turned away at the door.", ("reason",),
            registry=registry,
        )  # fmt: skip
        self.stages = Histogram(
            "shopsight_stage_seconds", "Time of a search's stage.", ("stage",),
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.batches = Histogram(
            "shopsight_batch_queries", "Queries searched together.",
            buckets=_SIZES, registry=registry,
        )  # fmt: skip
        self.under_way = Gauge(
            "shopsight_requests_under_way", "Requests being answered.", registry=registry
        )
        self._gauge("shopsight_products", "Products of the index.", products)
        self._gauge("shopsight_queries_waiting", "Queries that wait for a batch.", waiting)

    def text(self) -> bytes:
        """All of it in Prometheus's text format."""
        return generate_latest(self._registry)

    def _gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        Gauge(name, text, registry=self._registry).set_function(read)

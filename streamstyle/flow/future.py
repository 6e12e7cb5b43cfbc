"""A call on its own thread, and the result that it will have."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from streamstyle.flow.worker import RunThread

Lock = threading.Lock
"""Lock for state that several threads change; waiting is done in channels."""

Event = threading.Event
"""Event that happens once and that others wait for."""

T = TypeVar("T")


class Future(Generic[T]):
    """The result of a call on its own daemon thread.

    Unlike `concurrent.futures`, an unfinished call does not keep the process alive. cancel: makes the call
    end soon with an error; `abandon` calls it."""

    def __init__(
        self, call: Callable[[], T], name: str = "future", *, cancel: Callable[[], None] = lambda: None
    ) -> None:
        self._cancel = cancel
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._value: T | None = None
        self._error: BaseException | None = None
        self._free: Callable[[T], None] | None = None
        RunThread(target=self._run, args=(call,), name=name, daemon=True).start()

    @property
    def ready(self) -> bool:
        """True if `result` returns, or raises, at once."""
        return self._over.is_set()

    def wait(self) -> None:
        """Wait for the end of the call, however it ends."""
        self._over.wait()

    def result(self, timeout: float | None = None) -> T:
        """Wait for the result of the call, or raise its error; TimeoutError after `timeout` seconds."""
        if not self._over.wait(timeout):
            raise TimeoutError
        if self._error is not None:
            raise self._error
        return cast(T, self._value)

    def abandon(self, free: Callable[[T], None]) -> None:
        """Free the result as soon as it exists, because it is not needed. Does not wait."""
        self._cancel()
        with self._lock:
            self._free = free
            over = self._over.is_set()
        if over and self._error is None:
            free(cast(T, self._value))

    def _run(self, call: Callable[[], T]) -> None:
        try:
            self._value = call()
        except BaseException as error:  # noqa: BLE001 - kept here, raised by `result` in the caller's thread
            self._error = error
        with self._lock:
            self._over.set()
            free = self._free
        if free is not None and self._error is None:
            free(cast(T, self._value))

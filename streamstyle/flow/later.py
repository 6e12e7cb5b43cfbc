"""A call whose result is wanted later."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from streamstyle.flow.worker import RunThread

Lock = threading.Lock
"""For what several threads change; waiting is done in channels."""

T = TypeVar("T")


class Later(Generic[T]):
    """A call on a thread of its own, whose result is fetched later, abandoned, or never needed.

    The thread does not keep the process alive: what it calls may take minutes. cancel: makes the call end
    soon, with an error; made when the result is abandoned.
    """

    def __init__(
        self, call: Callable[[], T], name: str = "later", *, cancel: Callable[[], None] = lambda: None
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
        """Would `result` return, or raise, at once?"""
        return self._over.is_set()

    def result(self, timeout: float | None = None) -> T:
        """What the call gave, or its error; waits for it. Raises TimeoutError after `timeout` seconds."""
        if not self._over.wait(timeout):
            raise TimeoutError
        if self._error is not None:
            raise self._error
        return cast(T, self._value)

    def abandon(self, free: Callable[[T], None]) -> None:
        """Nobody will ask for the result: it is freed as soon as it is there. Does not wait."""
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

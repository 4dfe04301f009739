"""One C client, shared by a LicenseClient and its leases: who is in a call of
it, when it may be freed, and what the library calls back.

Knows nothing of products or users. Rules that hold it together:

- lh_client_free() wants nobody in a call. `with core` counts; close forbids
  new calls, and whoever is last out frees.
- Finalizers run anywhere, even within our own locks, and an on_lost runs in
  the library's thread, which has seats to renew. Both only leave the seat in
  `_orphans`, and a short thread gives it back. It is started by _thread,
  because threading takes locks of its own.
- C never gets a pointer to a Python object, but a number in `_cores` or
  `_waits`: a call that comes late finds nothing there.
"""

from __future__ import annotations

import _thread
import atexit
import collections
import ctypes
import itertools
import os
import queue
import threading
import time
import weakref
from typing import (Any, Callable, Deque, Dict, Iterator, List, Optional,
                    Protocol, Set, Tuple, TypeVar)

from . import _native
from ._errors import (ErrorCode, InvalidArgumentError, LicenseError,
                      make_error)

#: (address, lease id): an address is used again, and the two together only for
#: another seat of the same borrow, after the first was returned.
SeatKey = Tuple[int, int]
Waiting = Callable[[int, int], Optional[bool]]

_Lease = TypeVar("_Lease", bound="Held")

# A call of the library lasts at most 20 s beyond its wait, and close() ends
# waits. Longer means that a thread died in the midst.
CLOSE_MAX_S = 30.0
# The kernel tells the agent anyway when a process has ended.
EXIT_MAX_S = 5.0
# After Ctrl-C: the library asks about once a second whether to go on.
STOP_MAX_S = 3.0

_numbers: Iterator[int] = itertools.count(1)
_cores: Dict[int, "Core"] = {}
_waits: Dict[int, "Wait"] = {}


class _Context(threading.local):
    in_lost = False


_context = _Context()


def _invalid(detail: str) -> InvalidArgumentError:
    return InvalidArgumentError(ErrorCode.ARGUMENT, detail)


class _Helpers:
    """Short threads that may be started by finalizers, so without a lock."""

    def __init__(self) -> None:
        self._running: Set[object] = set()
        self._ended = False

    def start(self, function: Callable[[], None]) -> None:
        """Perhaps: at the end of the program no more, nor at the limit."""
        if self._ended:
            return
        token = object()
        self._running.add(token)
        try:
            _thread.start_new_thread(self._run, (token, function))
        except RuntimeError:
            self._running.discard(token)

    def _run(self, token: object, function: Callable[[], None]) -> None:
        try:
            function()
        finally:
            self._running.discard(token)

    def forget(self) -> None:
        """In a child of fork(): they are the parent's."""
        self._running.clear()

    def end(self, timeout_s: float) -> None:
        """A thread that begins when the interpreter is being taken down can
        crash it (CPython gh-104690): wait for those that were started."""
        self._ended = True
        end = time.monotonic() + timeout_s
        while self._running and time.monotonic() < end:
            time.sleep(0.001)


_helpers = _Helpers()


class _Depth(threading.local):
    calls = 0


class Held(Protocol):
    """What a core must know of a lease."""

    def return_(self) -> None:
        """Give it back, if it is still held."""

    def _void(self) -> None:
        """Let go of the seat, which goes back by itself."""

    def _take_loss(self, error: LicenseError) -> None:
        """It is lost."""


class Core:
    """A C client, and its leases for as long as somebody else wants them.
    `tell` is called with a lease that was lost; it must not keep its
    LicenseClient alive, or no client would ever be collected."""

    def __init__(self, options: _native.Options,
                 tell: Callable[[Any, LicenseError], None]) -> None:
        self.library = _native.load()
        self.pid = os.getpid()
        self.leases: "weakref.WeakValueDictionary[SeatKey, Held]" = (
            weakref.WeakValueDictionary())
        self._tell = tell
        self._losses: Dict[SeatKey, LicenseError] = {}  # not yet told
        self._orphans: Deque[SeatKey] = collections.deque()
        self._changed = threading.Condition(threading.RLock())
        self._depth = _Depth()
        self._users = 0
        self._closing = False
        self._freeing = False
        self._freed = False
        self._number = next(_numbers)
        pointer = ctypes.c_void_p()
        options.size = ctypes.sizeof(options)
        options.lost = _LOST
        options.ctx = self._number
        _cores[self._number] = self
        code = self.library.lh_client_new(ctypes.byref(pointer),
                                          ctypes.byref(options))
        if code != 0:
            del _cores[self._number]
            self._closing = self._freeing = self._freed = True
            raise make_error(code, self.library.detail(code))
        self._pointer: Optional[int] = pointer.value

    # --- who is in a call ---------------------------------------------------

    @property
    def is_foreign(self) -> bool:
        return self.pid != os.getpid()

    @property
    def is_closing(self) -> bool:
        return self._closing

    def __enter__(self) -> int:
        """The C client, for the calls of one block."""
        if self.is_foreign:
            raise _invalid("this client belongs to the parent process: make "
                           "a new one after fork()")
        if _context.in_lost:
            raise _invalid("on_lost runs in the library's thread, which must "
                           "not wait for itself: do this in another thread")
        with self._changed:
            if self._closing or self._pointer is None:
                raise _invalid("this client is closed")
            self._users += 1
            self._depth.calls += 1
            return self._pointer

    def __exit__(self, *unused: object) -> None:
        with self._changed:
            self._users -= 1
            self._depth.calls -= 1
            mine = self._is_mine_to_free()
        if mine:
            self._free()

    # --- the end ------------------------------------------------------------

    def _is_mine_to_free(self) -> bool:
        """Of all who see it true, one does."""
        if not self._closing or self._users > 0 or self._freeing:
            return False
        self._freeing = True
        return True

    def _free(self) -> None:
        try:
            self._void_all()
            # Before it is freed: a child of a fork in this moment must not
            # find it.
            pointer, self._pointer = self._pointer, None
            self.library.lh_client_free(pointer)
        finally:
            _cores.pop(self._number, None)
            with self._changed:
                self._freed = True
                self._changed.notify_all()

    def close(self, timeout_s: float = CLOSE_MAX_S) -> None:
        """Give every seat back and free the client. Ends waits. Within a call
        of the client (a signal handler, an on_waiting) it returns at once,
        and the end of that call does it; within on_lost a thread does."""
        if self.is_foreign:
            return
        if _context.in_lost:
            self.close_later()
            return
        with self._changed:
            self._closing = True
            mine = self._is_mine_to_free()
        if mine:
            self._free()
        elif self._depth.calls == 0:
            with self._changed:
                self._changed.wait_for(lambda: self._freed, timeout_s)

    def close_later(self) -> None:
        """The same without waiting and from anywhere, finalizers too."""
        if self._freed or self.is_foreign:
            return
        _helpers.start(self.close)  # without: atexit does it

    def abandon(self) -> None:
        """In a child of fork(): let go of the parent's descriptors."""
        self._changed = threading.Condition(threading.RLock())
        self._closing = self._freeing = self._freed = True
        self._void_all()
        pointer, self._pointer = self._pointer, None
        # The call that forked wants them once more, to find itself a stranger.
        if (pointer is not None and self._depth.calls == 0 and
                not _context.in_lost):
            self.library.lh_client_free(pointer)

    def _void_all(self) -> None:
        for lease in list(self.leases.values()):
            lease._void()

    # --- seats --------------------------------------------------------------

    def take(self, request: _native.Request,
             make: Callable[[List[SeatKey]], _Lease]) -> _Lease:
        """lh_checkout_with(), and the lease of it, which is made before
        anybody can free the seat. Who pops the key from the list that `make`
        is given owns the seat."""
        self.reap()
        seat = ctypes.c_void_p()
        held: Optional[List[SeatKey]] = None
        try:
            with self as pointer:
                code = self.library.lh_checkout_with(
                    ctypes.byref(seat), pointer, ctypes.byref(request))
                if code != 0:
                    raise make_error(code, self.library.detail(code))
                key = self._key(seat.value or 0)
                held = [key]
                lease = make(held)
                self.leases[key] = lease
        except BaseException:
            # Ctrl-C between the answer and its reader.
            if held is None and seat.value:
                held = [(seat.value, 0)]
            if held:
                self.orphan(held.pop())
            raise
        if self._losses:
            # Through ctypes, whose way with exceptions is
            # sys.unraisablehook.
            ctypes.CFUNCTYPE(None)(lambda: self._tell_loss(key))()
        return lease

    def call(self, function: Callable[..., int], *arguments: Any) -> None:
        """One call of the library about the client; `function` is given the
        arguments, in which None is the client."""
        with self as pointer:
            code = function(*(pointer if argument is None else argument
                              for argument in arguments))
            if code != 0:
                raise make_error(code, self.library.detail(code))

    def _key(self, seat: int) -> SeatKey:
        return seat, self.library.lh_seat_id(seat)

    def lose(self, seat: int, error: LicenseError) -> None:
        """It may be lost before its lease is made: whoever comes second
        tells."""
        key = self._key(seat)
        self._losses[key] = error
        self._tell_loss(key)

    def _tell_loss(self, key: SeatKey) -> None:
        lease = self.leases.get(key)
        error = None if lease is None else self._losses.pop(key, None)
        if lease is None or error is None:
            return
        lease._take_loss(error)
        self._tell(lease, error)

    def give_back(self, key: SeatKey) -> None:
        """lh_return(), by the one who took the seat's key away."""
        if self.is_foreign:
            return
        if _context.in_lost:
            self.orphan(key)
            return
        try:
            with self:
                self.library.lh_return(key[0])
        except InvalidArgumentError:
            return  # closed: it went back with all the others
        self._losses.pop(key, None)

    def orphan(self, key: SeatKey) -> None:
        """The same without waiting and from anywhere, finalizers too."""
        if self._freed or self.is_foreign:
            return
        self._orphans.append(key)
        _helpers.start(self.reap)  # without: the next checkout does it

    def reap(self) -> None:
        while True:
            try:
                key = self._orphans.popleft()
            except IndexError:
                return
            self.give_back(key)


class Wait:
    """A checkout that may wait. The library asks it about once a second."""

    def __init__(self, core: Core, on_waiting: Optional[Waiting]) -> None:
        self.core = core
        self.on_waiting = on_waiting
        self.error: Optional[BaseException] = None

    def step(self, place: int, length: int) -> bool:
        """Go on?"""
        if self.core.is_closing:
            return False
        return (self.on_waiting is None or
                self.on_waiting(place, length) is not False)

    def run(self, request: _native.Request,
            checkout: Callable[[], _Lease]) -> _Lease:
        """checkout() with the library asking us; in this thread."""
        number = next(_numbers)
        _waits[number] = self
        request.waiting = _WAITING
        request.ctx = number
        try:
            taken = checkout()
        except LicenseError:
            if self.error is not None:
                raise self.error from None
            raise
        finally:
            _waits.pop(number, None)
        if self.error is not None:  # too late to be told no
            taken.return_()
            raise self.error
        return taken


class MainWait(Wait):
    """The same for Python's main thread, where signals raise exceptions: the
    library waits in a thread of its own, this one where Ctrl-C can reach it.
    on_waiting is called here, in the thread that asked for the seat."""

    def __init__(self, core: Core, on_waiting: Optional[Waiting]) -> None:
        super().__init__(core, on_waiting)
        self._told: "queue.SimpleQueue[Optional[Tuple[int, int]]]" = (
            queue.SimpleQueue())
        self._stop = False
        self._abandoned = False
        self._taken: Deque[Any] = collections.deque()
        self._failed: List[BaseException] = []

    def step(self, place: int, length: int) -> bool:
        self._told.put((place, length))
        return not (self._stop or self.core.is_closing)

    def run(self, request: _native.Request,
            checkout: Callable[[], _Lease]) -> _Lease:
        worker = threading.Thread(
            target=self._work, args=(request, checkout), daemon=True,
            name="leasehold-wait")
        try:
            worker.start()
            self._follow()
            if self._failed:
                raise self._failed.pop()
            taken: _Lease = self._taken.popleft()
            return taken
        except BaseException:
            self._stop = self._abandoned = True
            self._drop()
            if worker.ident is not None:
                worker.join(STOP_MAX_S)
            raise

    def _work(self, request: _native.Request,
              checkout: Callable[[], Held]) -> None:
        try:
            self._taken.append(super().run(request, checkout))
        except BaseException as error:
            self._failed.append(error)
        if self._abandoned:
            self._drop()
        self._told.put(None)

    def _drop(self) -> None:
        """Nobody wants the seat: whoever sees it first gives it back."""
        try:
            taken = self._taken.popleft()
        except IndexError:
            return
        taken.return_()

    def _follow(self) -> None:
        while True:
            told = self._told.get()
            while told is not None and not self._told.empty():
                told = self._told.get()  # the newest is what holds
            if told is None:
                return
            if (self.on_waiting is not None and not self._stop and
                    self.on_waiting(*told) is False):
                self._stop = True
            if self.core.is_foreign:  # and the worker the parent's
                raise _invalid("on_waiting forked, and this is the child")


def make_wait(core: Core, on_waiting: Optional[Waiting]) -> Wait:
    if threading.current_thread() is threading.main_thread():
        return MainWait(core, on_waiting)
    return Wait(core, on_waiting)


# --- what the library calls -------------------------------------------------


def _lost(number: int, seat: int, code: int) -> None:
    """An exception goes to sys.unraisablehook: ctypes sees to that."""
    core = _cores.get(number)
    if core is None:
        return
    _context.in_lost = True
    try:
        core.lose(seat, make_error(code, core.library.detail(code)))
    finally:
        _context.in_lost = False


def _waiting(number: int, place: int, length: int) -> int:
    try:
        wait = _waits[number]
    except KeyError:
        return 1
    try:
        return 0 if wait.step(place, length) else 1
    except BaseException as error:  # run() raises it
        wait.error = error
        return 1


# For as long as the process lives, as nobody knows who still calls them.
_LOST = _native.LOST(_lost)
_WAITING = _native.WAITING(_waiting)


# --- the end of the process, and its children -------------------------------


def _close_all() -> None:
    end = time.monotonic() + EXIT_MAX_S
    for core in list(_cores.values()):
        core.close(max(0.0, end - time.monotonic()))
    _helpers.end(max(0.0, end - time.monotonic()))


def _abandon_all() -> None:
    for core in list(_cores.values()):
        core.abandon()
    _cores.clear()
    _waits.clear()
    _helpers.forget()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_abandon_all)

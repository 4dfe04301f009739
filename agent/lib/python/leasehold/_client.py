"""What applications use: LicenseClient and Lease."""

from __future__ import annotations

import ctypes
import math
import os
import warnings
import weakref
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Callable, List, NoReturn, Optional, Type, Union

from . import _borrow, _native
from ._borrow import Borrow
from ._core import Core, SeatKey, Waiting, make_wait
from ._errors import (ErrorCode, InvalidArgumentError, LeaseLostError,
                      LicenseError)

OnLost = Callable[["Lease", LicenseError], object]


def _text(name: str, value: Optional[str]) -> Optional[bytes]:
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidArgumentError(
            ErrorCode.ARGUMENT, "%s must be a str, not %s"
            % (name, type(value).__name__))
    try:
        encoded = value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(
            ErrorCode.ARGUMENT, "%s is no text: %s" % (name, error)) from None
    if b"\0" in encoded:  # C would read half of it
        raise InvalidArgumentError(
            ErrorCode.ARGUMENT, "%s has a NUL in it" % name)
    return encoded


def _path(name: str, value: Union[None, str, "os.PathLike[str]"],
          ) -> Optional[bytes]:
    if value is None:
        return None
    encoded = os.fsencode(value)
    if b"\0" in encoded:
        raise InvalidArgumentError(
            ErrorCode.ARGUMENT, "%s has a NUL in it" % name)
    return encoded


def _whole(name: str, value: int, most: int) -> int:
    """ctypes would cut it to size."""
    if not isinstance(value, int) or not 0 <= value <= most:
        raise InvalidArgumentError(
            ErrorCode.ARGUMENT, "%s must be from 0 to %d" % (name, most))
    return value


def _seconds(value: Union[None, float, timedelta]) -> int:
    """Rounded up: who waits for half a second does wait."""
    if value is None:
        return 0
    seconds = (value.total_seconds() if isinstance(value, timedelta)
               else value)
    if not isinstance(seconds, (int, float)) or not 0 <= seconds <= 86400:
        raise InvalidArgumentError(
            ErrorCode.ARGUMENT, "wait must be from 0 to 86400 seconds")
    return math.ceil(seconds)


class Lease:
    """Seats held now: what LicenseClient.checkout() gives.

    A context manager, which gives them back at its end. Any thread may use
    it. Attributes that do not change:

    id      -- the lease's number at the site
    type    -- "commit", or "overage" (billed)
    count   -- how many seats it is of
    product, version, feature, user -- what was asked for; None: not said
    client  -- the LicenseClient
    borrowed -- it is one of the seats that this workstation has borrowed
    """

    __slots__ = ("id", "type", "count", "borrowed", "product", "version", "feature",
                 "user", "client", "_held", "_handle", "_core",
                 "_lost", "__weakref__")

    id: int
    type: str
    count: int
    borrowed: bool

    def __init__(self, client: LicenseClient, core: Core, held: List[SeatKey],
                 product: str, version: str, feature: Optional[str],
                 user: Optional[str]) -> None:
        library = core.library
        address, self.id = held[0]
        # NULL as soon as the seat is on its way back. See _native.Library.
        self._handle = ctypes.c_void_p(address)
        self._core = core
        # Who pops the key gives the seat back: list.pop() is atomic.
        self._held = held
        self._lost: Optional[LicenseError] = None
        self.client = client
        self.type = ("overage" if library.lh_seat_type(self._handle)
                     else "commit")
        self.count = library.lh_seat_count(self._handle)
        self.borrowed = bool(library.lh_seat_is_borrowed(self._handle))
        self.product = product
        self.version = version
        self.feature = feature
        self.user = user

    @property
    def valid(self) -> bool:
        """May the application run on it right now? Cheap: no system call.
        False after its return, when it is lost, and in a child process."""
        return bool(self._core.library.lh_seat_valid(self._handle))

    def active(self) -> None:
        """Say that somebody works with it right now; cheap. A site's policy
        may take back what nobody works with, from applications that call
        this at all."""
        self._core.library.lh_seat_active(self._handle)

    @property
    def time_left(self) -> timedelta:
        """Until it is no longer valid if nothing is renewed, grace included;
        zero: it is not. It is renewed long before, by itself."""
        return timedelta(milliseconds=self._core.library.lh_seat_left_ms(
            self._handle))

    @property
    def borrowed_until(self) -> Optional[datetime]:
        """When the borrow is over at the latest, UTC; None: it is not
        borrowed, or returned."""
        until_ms = self._core.library.lh_seat_until_ms(self._handle)
        return _borrow.moment(until_ms) if until_ms != 0 else None

    @property
    def lost(self) -> Optional[LicenseError]:
        """Why it was lost; None: it was not, as far as is known."""
        return self._lost

    def return_(self) -> None:
        """Give the seats back; again: does nothing. Never raises. Waits at
        most two seconds to hear that they are back (the agent tells the site
        later if it cannot now) and for an on_lost that runs for this lease.
        Within on_lost it does not wait: a thread does it."""
        self.client._return(self)

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]],
                 value: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.return_()

    def __repr__(self) -> str:
        state = ("returned" if not self._held
                 else "valid" if self.valid else "not valid")
        return "<Lease %d: %d %s of %s %s, %s>" % (
            self.id, self.count, self.type, self.product, self.version, state)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a lease is for the process that took it")

    def __copy__(self) -> NoReturn:
        self.__reduce__()

    def __deepcopy__(self, memo: Any) -> NoReturn:
        self.__reduce__()

    def __del__(self) -> None:
        # Any thread, any moment: neither wait nor lock.
        try:
            key = self._held.pop()
        except (AttributeError, IndexError):
            return
        self._handle.value = None
        if self._core.is_foreign:
            return
        try:
            if self._lost is None:
                warnings.warn("lease %d of %s was never returned"
                              % (self.id, self.product), ResourceWarning,
                              stacklevel=2, source=self)
        finally:
            self._core.orphan(key)

    # --- for _core ----------------------------------------------------------

    def _take(self) -> Optional[SeatKey]:
        """The seat, for the one who gives it back; None for all others."""
        try:
            key = self._held.pop()
        except IndexError:
            return None
        self._handle.value = None
        return key

    def _void(self) -> None:
        self._take()

    def _take_loss(self, error: LicenseError) -> None:
        self._lost = error


class LicenseClient:
    """A way to the agent on this machine, for one vendor's products.

    vendor_key    -- the vendor's root key, "k4.public....", which belongs
                     into the application's source: it is whom to believe
    product, version, user -- for checkouts that do not say
    socket_path   -- the agent's socket; None: $LEASEHOLD_SOCKET, else
                     /run/leasehold/agent.sock
    state_folder  -- where the last header seen of each site is kept, so that
                     a site that was rolled back is noticed by the next
                     process too; None: $XDG_STATE_HOME/leasehold, else
                     ~/.local/state/leasehold; "": in this process only
    on_lost       -- on_lost(lease, error), called when a lease is lost: in a
                     thread of the library's, or rarely in the one that just
                     took the lease. Keep it short, as renewals wait for it.
                     It may look at leases and return them; anything else of
                     the client raises there. What it raises goes to
                     sys.unraisablehook.

    Making one neither connects nor starts a thread. All threads may share
    one. A context manager, whose end returns all leases; without, they go
    back when the client is collected or the program ends, however it ends.

    Raises InvalidArgumentError for a vendor_key that is none, LibraryError
    without libleasehold.so.1.
    """

    def __init__(self, vendor_key: str, *, product: Optional[str] = None,
                 version: Optional[str] = None, user: Optional[str] = None,
                 socket_path: Union[None, str, "os.PathLike[str]"] = None,
                 state_folder: Union[None, str, "os.PathLike[str]"] = None,
                 on_lost: Optional[OnLost] = None) -> None:
        self.product = product
        self.version = version
        self.user = user
        self._on_lost = on_lost
        options = _native.Options(
            vendor_key=_text("vendor_key", vendor_key),
            socket_path=_path("socket_path", socket_path),
            state_folder=_path("state_folder", state_folder))
        reference = weakref.ref(self)

        def tell(lease: Lease, error: LicenseError) -> None:
            client = reference()
            if client is not None and client._on_lost is not None:
                client._on_lost(lease, error)

        self._core = Core(options, tell)

    def checkout(self, user: Optional[str] = None,
                 product: Optional[str] = None,
                 version: Optional[str] = None, *,
                 feature: Optional[str] = None, count: int = 1,
                 wait: Union[None, float, timedelta] = None,
                 on_waiting: Optional[Waiting] = None) -> Lease:
        """Take seats of a product, all or none, as one lease.

        user        -- who it is for, at most 63 bytes of UTF-8; None: the
                       client's, else the login name
        product     -- 1 to 63 bytes; None: the client's
        version     -- the version that runs, "8.1.0"; None: the client's
        feature     -- a feature of the product, which has seats of its own
        count       -- 1 to 1024
        wait        -- seconds or timedelta to stand in the site's queue when
                       no seat is free, at most a day; None or 0: an answer at
                       once
        on_waiting  -- on_waiting(place, length) while it waits, about once a
                       second, in this thread; place 1 is next, 0 is not known
                       now. False leaves the queue (WaitCancelled), and so
                       does what it raises, which is raised here

        Blocks for `wait` and at most 20 s more. Ctrl-C while it waits leaves
        the queue. Raises LicenseUnavailableError when every seat is taken
        (OverageMaxExceededError where the license has overage), other
        RefusedErrors, UnreachableErrors (the same call again takes no second
        seat), VerificationErrors and InvalidArgumentError.
        """
        user = self.user if user is None else user
        product = self.product if product is None else product
        version = self.version if version is None else version
        if product is None or version is None:
            raise InvalidArgumentError(
                ErrorCode.ARGUMENT, "no %s was given, to the client or here"
                % ("product" if product is None else "version"))
        request = _native.Request(
            size=ctypes.sizeof(_native.Request),
            product=_text("product", product),
            version=_text("version", version),
            feature=_text("feature", feature), user=_text("user", user),
            count=_whole("count", count, 1024), wait_s=_seconds(wait))
        if count == 0:  # which C takes for 1
            raise InvalidArgumentError(ErrorCode.ARGUMENT,
                                       "count must be from 1 to 1024")
        asked = (product, version, feature, user)

        def make(held: List[SeatKey]) -> Lease:
            return Lease(self, self._core, held, *asked)

        def take() -> Lease:
            return self._core.take(request, make)

        if request.wait_s == 0:
            return take()
        return make_wait(self._core, on_waiting).run(request, take)

    def return_license(self, lease: Union[Lease, int]) -> None:
        """lease.return_(), also by its id. LeaseLostError: this client holds
        none of that id."""
        if isinstance(lease, Lease):
            if lease.client is not self:
                raise InvalidArgumentError(
                    ErrorCode.ARGUMENT,
                    "lease %d is of another client" % lease.id)
            lease.return_()
            return
        for held in self.leases:
            if held.id == lease:
                held.return_()
                return
        raise LeaseLostError(
            ErrorCode.GONE, "this client holds no lease %s" % lease)

    @property
    def leases(self) -> List[Lease]:
        """Those that are held now, lost ones included, the oldest first. The
        client keeps none alive: who drops a lease returns it."""
        held = [lease for lease in list(self._core.leases.values())
                if isinstance(lease, Lease) and lease._held]
        return sorted(held, key=lambda lease: lease.id)

    # --- borrows ------------------------------------------------------------

    def borrow(self, length: Union[float, timedelta],
               product: Optional[str] = None, version: Optional[str] = None,
               *, user: Optional[str] = None, feature: Optional[str] = None,
               count: int = 1,
               timeout: Union[float, timedelta] = 60.0) -> Borrow:
        """Take seats along for `length` of powered-on time (seconds or
        timedelta), so that checkout() finds them without the site. The rest
        as in checkout(), but for timeout: seconds or timedelta to wait for
        the answer. After UnreachableError the same call again takes no second
        one. RefusedError says what the license or the site do not lend."""
        user = self.user if user is None else user
        product = self.product if product is None else product
        version = self.version if version is None else version
        if product is None or version is None:
            raise InvalidArgumentError(
                ErrorCode.ARGUMENT, "no %s was given, to the client or here"
                % ("product" if product is None else "version"))
        request = _native.BorrowRequest(
            product=_text("product", product),
            version=_text("version", version),
            feature=_text("feature", feature), user=_text("user", user),
            count=_whole("count", count, 1024),
            length_s=_borrow.length_s(length))
        if count == 0:  # which C takes for 1
            raise InvalidArgumentError(ErrorCode.ARGUMENT,
                                       "count must be from 1 to 1024")
        return _borrow.take(self._core, request, timeout)

    def extend_borrow(self, borrow: Union[Borrow, int],
                      length: Union[float, timedelta], *,
                      timeout: Union[float, timedelta] = 60.0) -> Borrow:
        """Make it last for `length` from now on. Leases of it go on."""
        return _borrow.extend(self._core, borrow, length, timeout)

    def return_borrow(self, borrow: Union[None, Borrow, int] = None, *,
                      timeout: Union[float, timedelta] = 60.0) -> bool:
        """Give it back before its end; None: all of this user's. Leases of it
        are lost. True: the site has the proof, and the seats are free there.
        False: they cannot be used here any more, and the agent proves it to
        the site as soon as it is reached."""
        return _borrow.give_back(self._core, borrow, timeout)

    def borrows(self, *, timeout: Union[float, timedelta] = 10.0,
                ) -> List[Borrow]:
        """This user's borrows on this workstation, and everybody's."""
        return _borrow.listed(self._core, timeout)

    # --- usage --------------------------------------------------------------

    def report_usage(self, metric: str, amount: int, *, event_id: str,
                     product: Optional[str] = None, gauge: bool = False,
                     user: Optional[str] = None,
                     at: Optional[datetime] = None,
                     timeout: Union[float, timedelta] = 10.0) -> bool:
        """Tell the site what was used beside seats. Needs no seat.

        metric      -- "api_calls", "storage_mb", or any name
        amount      -- a whole number below 2 to the power of 53
        event_id    -- yours, 1 to 64 bytes: the same event has the same id and
                       counts once in eight days, whoever tells it, so make it
                       unique everywhere: str(uuid.uuid4())
        gauge       -- it is what there is now, until the next; else amounts
                       add up
        at          -- when it was, at most seven days ago; it counts when it
                       arrives. Without a time zone it is local time

        True: it counts now. False: it had been counted. After an
        UnreachableError tell it again with the same event_id: nothing is kept
        here. RefusedError (quota_exceeded and others): it is not counted.
        """
        user = self.user if user is None else user
        product = self.product if product is None else product
        if product is None:
            raise InvalidArgumentError(
                ErrorCode.ARGUMENT, "no product was given, to the client or "
                "here")
        usage = _native.Usage(
            size=ctypes.sizeof(_native.Usage), kind=int(bool(gauge)),
            event_id=_text("event_id", event_id),
            product=_text("product", product),
            metric=_text("metric", metric),
            amount=_whole("amount", amount, (1 << 53) - 1),
            user=_text("user", user),
            at_ms=0 if at is None else round(at.timestamp() * 1000))
        repeated = ctypes.c_int()
        self._core.call(self._core.library.lh_usage_report,
                        ctypes.byref(repeated), None, ctypes.byref(usage),
                        _borrow.timeout_ms(timeout))
        return not repeated.value

    def close(self) -> None:
        """Return all leases and end the client; again: does nothing. Waits in
        other threads end with WaitCancelled. Blocks until other threads are
        out of their calls, and at most two seconds for the returns. Within
        on_lost, on_waiting or a signal handler it may return sooner."""
        self._core.close()

    def __enter__(self) -> LicenseClient:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]],
                 value: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a client is for the process that made it")

    def __del__(self) -> None:
        core: Optional[Core] = getattr(self, "_core", None)
        if core is not None:
            core.close_later()

    def _return(self, lease: Lease) -> None:
        key = lease._take()
        if key is not None:
            self._core.leases.pop(key, None)
            self._core.give_back(key)

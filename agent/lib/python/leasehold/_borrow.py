"""Borrows: seats that this workstation has taken along, for use offline."""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import List, Optional, Union

from . import _native
from ._core import Core
from ._errors import ErrorCode, InvalidArgumentError

_TYPES = ("commit", "overage")
_STATES = ("lent", "returning", "unproven")
_LONGEST_S = 31622400  # a leap year


def moment(time_ms: int) -> datetime:
    """UTC; timestamps may be beyond what fromtimestamp() takes."""
    return (datetime(1970, 1, 1, tzinfo=timezone.utc) +
            timedelta(milliseconds=time_ms))


@dataclass(frozen=True)
class Borrow:
    """A borrow, as the agent tells it. Its seats are taken with checkout(),
    which verifies what they are worth.

    id        -- the number of its lease at the site, as Lease.id
    count     -- seats; `used` of them are held by applications here now
    type      -- "commit", or "overage" (billed)
    state     -- "lent", "returning" (on its way back) or "unproven" (over, and
                 the site has no proof of that yet)
    length    -- of powered-on time, from taken_at on
    until     -- when it is over at the latest
    """

    id: int
    product: str
    version: str
    feature: Optional[str]
    count: int
    used: int
    type: str
    state: str
    length: timedelta
    taken_at: datetime
    until: datetime


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _make(native: _native.Borrow) -> Borrow:
    return Borrow(
        id=native.id, product=_text(native.product),
        version=_text(native.version),
        feature=_text(native.feature) or None, count=native.count,
        used=native.used, type=_TYPES[native.type],
        state=_STATES[native.state],
        length=timedelta(seconds=native.length_s),
        taken_at=moment(native.taken_at_ms), until=moment(native.until_ms))


def length_s(value: Union[float, timedelta]) -> int:
    """Rounded up."""
    seconds = (value.total_seconds() if isinstance(value, timedelta)
               else value)
    if not isinstance(seconds, (int, float)) or not (
            0 < seconds <= _LONGEST_S):
        raise InvalidArgumentError(
            ErrorCode.ARGUMENT, "length must be from 1 to %d seconds"
            % _LONGEST_S)
    return math.ceil(seconds)


def timeout_ms(value: Union[float, timedelta]) -> int:
    seconds = (value.total_seconds() if isinstance(value, timedelta)
               else value)
    if not isinstance(seconds, (int, float)) or not 0 <= seconds <= 86400:
        raise InvalidArgumentError(
            ErrorCode.ARGUMENT, "timeout must be from 0 to 86400 seconds")
    return math.ceil(seconds * 1000)


def _number(borrow: Union[Borrow, int]) -> int:
    number = borrow.id if isinstance(borrow, Borrow) else borrow
    if not isinstance(number, int) or not 0 < number < 1 << 53:
        raise InvalidArgumentError(
            ErrorCode.ARGUMENT, "borrow must be a Borrow or its id")
    return number


def _room() -> _native.Borrow:
    return _native.Borrow(size=ctypes.sizeof(_native.Borrow))


def take(core: Core, request: _native.BorrowRequest,
         timeout: Union[float, timedelta]) -> Borrow:
    room = _room()
    request.size = ctypes.sizeof(request)
    core.call(core.library.lh_borrow_take, ctypes.byref(room), None,
              ctypes.byref(request), timeout_ms(timeout))
    return _make(room)


def extend(core: Core, borrow: Union[Borrow, int],
           length: Union[float, timedelta],
           timeout: Union[float, timedelta]) -> Borrow:
    room = _room()
    core.call(core.library.lh_borrow_extend, ctypes.byref(room), None,
              _number(borrow), length_s(length), timeout_ms(timeout))
    return _make(room)


def give_back(core: Core, borrow: Union[None, Borrow, int],
              timeout: Union[float, timedelta]) -> bool:
    proved = ctypes.c_int()
    core.call(core.library.lh_borrow_return, ctypes.byref(proved), None,
              0 if borrow is None else _number(borrow), timeout_ms(timeout))
    return bool(proved.value)


def listed(core: Core, timeout: Union[float, timedelta]) -> List[Borrow]:
    found: List[Borrow] = []
    each = _native.EACH(
        lambda ctx, borrow: found.append(_make(borrow.contents)))
    core.call(core.library.lh_borrow_list, None, each, 0,
              timeout_ms(timeout))
    return found

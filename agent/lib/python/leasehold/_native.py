"""libleasehold.so.1 by ctypes: where it is, its structs, its functions.

Knows leasehold.h and nothing of what is built on it. The structs are compared
with the compiler's by tests/system/test_python.py.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import (CFUNCTYPE, POINTER, Structure, c_char, c_char_p, c_int,
                    c_int64, c_uint32, c_uint64, c_void_p)
from typing import Any, List, Optional, Tuple

from ._errors import ErrorCode, LibraryError

SONAME = "libleasehold.so.1"
#: The oldest library that has all that is called here: LH_VERSION_*.
NEEDED = (0, 1)

LOST = CFUNCTYPE(None, c_void_p, c_void_p, c_int)
WAITING = CFUNCTYPE(c_int, c_void_p, c_uint32, c_uint32)


class Options(Structure):
    """struct lh_options."""

    _fields_ = [
        ("size", c_uint32),
        ("vendor_key", c_char_p),
        ("socket_path", c_char_p),
        ("state_folder", c_char_p),
        ("manual_beats", c_int),
        ("lost", LOST),
        ("ctx", c_void_p),
    ]


class Request(Structure):
    """struct lh_request."""

    _fields_ = [
        ("size", c_uint32),
        ("product", c_char_p),
        ("version", c_char_p),
        ("feature", c_char_p),
        ("user", c_char_p),
        ("count", c_uint32),
        ("wait_s", c_int),
        ("waiting", WAITING),
        ("ctx", c_void_p),
    ]


class Borrow(Structure):
    """struct lh_borrow."""

    _fields_ = [
        ("size", c_uint32),
        ("count", c_uint32),
        ("id", c_uint64),
        ("used", c_uint32),
        ("type", c_int),
        ("state", c_int),
        ("length_s", c_uint32),
        ("taken_at_ms", c_int64),
        ("until_ms", c_int64),
        ("product", c_char * 64),
        ("version", c_char * 32),
        ("feature", c_char * 64),
    ]


class BorrowRequest(Structure):
    """struct lh_borrow_request."""

    _fields_ = [
        ("size", c_uint32),
        ("count", c_uint32),
        ("product", c_char_p),
        ("version", c_char_p),
        ("feature", c_char_p),
        ("user", c_char_p),
        ("length_s", c_uint32),
    ]


class Usage(Structure):
    """struct lh_usage."""

    _fields_ = [
        ("size", c_uint32),
        ("kind", c_int),
        ("event_id", c_char_p),
        ("product", c_char_p),
        ("metric", c_char_p),
        ("amount", c_uint64),
        ("user", c_char_p),
        ("at_ms", c_int64),
    ]


EACH = CFUNCTYPE(None, c_void_p, POINTER(Borrow))

_BLOCKING: List[Tuple[str, Any, List[Any]]] = [
    ("lh_client_new", c_int, [POINTER(c_void_p), POINTER(Options)]),
    ("lh_client_free", None, [c_void_p]),
    ("lh_checkout_with", c_int,
     [POINTER(c_void_p), c_void_p, POINTER(Request)]),
    ("lh_return", None, [c_void_p]),
    ("lh_borrow_take", c_int,
     [POINTER(Borrow), c_void_p, POINTER(BorrowRequest), c_int]),
    ("lh_borrow_extend", c_int,
     [POINTER(Borrow), c_void_p, c_uint64, c_uint32, c_int]),
    ("lh_borrow_return", c_int, [POINTER(c_int), c_void_p, c_uint64, c_int]),
    ("lh_borrow_list", c_int, [c_void_p, EACH, c_void_p, c_int]),
    ("lh_usage_report", c_int,
     [POINTER(c_int), c_void_p, POINTER(Usage), c_int]),
]
_FIRST: List[Tuple[str, Any, List[Any]]] = [
    ("lh_version", c_char_p, []),
]
_QUICK: List[Tuple[str, Any, List[Any]]] = [
    ("lh_seat_valid", c_int, [c_void_p]),
    ("lh_seat_active", None, [c_void_p]),
    ("lh_seat_left_ms", c_int64, [c_void_p]),
    ("lh_seat_type", c_int, [c_void_p]),
    ("lh_seat_id", c_uint64, [c_void_p]),
    ("lh_seat_count", c_uint32, [c_void_p]),
    ("lh_seat_is_borrowed", c_int, [c_void_p]),
    ("lh_seat_until_ms", c_int64, [c_void_p]),
    ("lh_strerror", c_char_p, [c_int]),
    ("lh_detail", c_char_p, []),
]


class Library:
    """The functions. Those that wait let other Python threads run. Those that
    only look keep the GIL: nothing of Python happens between reading their
    arguments and their return, which is what keeps a seat from being freed
    under a look (Lease._handle)."""

    def __init__(self, path: str) -> None:
        try:
            blocking = ctypes.CDLL(path)
            quick = ctypes.PyDLL(path)
        except OSError as error:
            raise _error(
                "cannot load the Leasehold library: %s. Install "
                "libleasehold, or name the file in LEASEHOLD_LIBRARY"
                % error) from error
        self.path = path
        # First, so that another library is called by its version.
        self._take(quick, _FIRST, "no version")
        version: bytes = self.lh_version()
        self.version = version.decode("ascii", "replace")
        self._check_version()
        self._take(blocking, _BLOCKING, self.version)
        self._take(quick, _QUICK, self.version)

    def __getattr__(self, name: str) -> Any:  # for the type checker
        raise AttributeError(name)

    def _take(self, library: ctypes.CDLL,
              functions: List[Tuple[str, Any, List[Any]]],
              version: str) -> None:
        for name, result, arguments in functions:
            try:
                function = getattr(library, name)
            except AttributeError:
                raise _error(
                    "%s (%s) is not the Leasehold library that this "
                    "package needs, %d.%d or newer: it has no %s()"
                    % ((self.path, version) + NEEDED + (name,))) from None
            function.restype = result
            function.argtypes = arguments
            setattr(self, name, function)

    def _check_version(self) -> None:
        try:
            major, minor = (int(part)
                            for part in self.version.split(".")[:2])
        except ValueError:
            major, minor = -1, -1
        if major != NEEDED[0] or minor < NEEDED[1]:
            raise _error(
                "%s is version %s; this package needs %d.%d or a newer %d.x"
                % ((self.path, self.version) + NEEDED + NEEDED[:1]))

    def detail(self, code: int) -> str:
        """What this thread's last failed call was told, or the code's own
        words."""
        told: bytes = self.lh_detail() or self.lh_strerror(code)
        return told.decode("utf-8", "replace")


def _error(detail: str) -> LibraryError:
    return LibraryError(ErrorCode.SYSTEM, detail)


_library: Optional[Library] = None


def load() -> Library:
    """$LEASEHOLD_LIBRARY, else libleasehold.so.1 where the loader looks."""
    global _library
    if _library is None:
        _library = Library(os.environ.get("LEASEHOLD_LIBRARY") or SONAME)
    return _library


def loaded() -> Optional[Library]:
    """The library if somebody needed it."""
    return _library

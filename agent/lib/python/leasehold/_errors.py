"""What can go wrong, by name: one exception for each LH_E_* of leasehold.h.

The numbers are the library's and never change; tests/system/test_python.py
compares them with the header.
"""

from __future__ import annotations

import enum
from typing import Dict, Tuple, Type


class ErrorCode(enum.IntEnum):
    """LH_E_* of leasehold.h."""

    MEMORY = -1
    ARGUMENT = -2
    AGENT = -3
    SITE = -4
    TIMEOUT = -5
    PROTOCOL = -6
    SYSTEM = -7
    NO_SEATS = -20
    OVERAGE_EXHAUSTED = -21
    NOT_ENTITLED = -22
    VERSION = -23
    EXPIRED = -24
    SUSPENDED = -25
    REFUSED = -26
    GONE = -27
    CANCELLED = -28
    CLOCK = -29
    BAD_SIGNATURE = -40
    NOT_IN_JOURNAL = -41
    FORK = -42
    MISMATCH = -43
    BAD_PROOF = -44


class LicenseError(Exception):
    """The base of all that this package raises on its own.

    `code` is an ErrorCode, or a plain int that a newer library gave. `detail`
    is for people: what happened, what it means, what to type. Can be pickled,
    so that it comes back whole from a process pool.
    """

    code: int
    detail: str

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail

    def __reduce__(self) -> Tuple[Type[LicenseError], Tuple[int, str]]:
        return type(self), (self.code, self.detail)


# --- faults -----------------------------------------------------------------


class LibraryError(LicenseError):
    """libleasehold.so.1 was not found, or is not the one this needs."""


class OutOfMemoryError(LicenseError):
    """The library found no memory."""


class InvalidArgumentError(LicenseError, ValueError):
    """An argument is out of its bounds, the client is closed, or it belongs
    to the parent process."""


class ProtocolError(LicenseError):
    """The agent said something impossible. The outcome is unknown."""


class SystemFaultError(LicenseError):
    """The operating system refused."""


class UnreachableError(LicenseError):
    """No answer. The outcome is unknown, and the same checkout tried again
    takes no second seat."""


class AgentUnreachableError(UnreachableError):
    """No agent answers on the socket."""


class SiteUnreachableError(UnreachableError):
    """The agent cannot reach the site."""


class AnswerTimeoutError(UnreachableError):
    """The agent did not answer in time."""


# --- refusals ---------------------------------------------------------------


class RefusedError(LicenseError):
    """The site said no; `detail` says why. Itself for what has no name of its
    own, as a queue that is full."""


class LicenseUnavailableError(RefusedError):
    """Every seat is taken, until the wait was over."""


class OverageMaxExceededError(LicenseUnavailableError):
    """Every seat and all allowed overage is taken."""


class NotEntitledError(RefusedError):
    """The site has no license for this product or feature."""


class VersionNotCoveredError(RefusedError):
    """The license does not cover this version."""


class LicenseExpiredError(RefusedError):
    """The contract is not running."""


class LicenseSuspendedError(RefusedError):
    """The vendor has suspended the license."""


class LeaseLostError(RefusedError):
    """The lease has ended: an admin released it, the device was revoked, or
    it is not one of this client."""


class WaitCancelled(RefusedError):
    """`on_waiting` returned False, or the client was closed in the meantime.
    No seat is held."""


class ClockTamperedError(RefusedError):
    """A clock went back: of the machine, or of its TPM. Of borrowed seats."""


# --- the verifier -----------------------------------------------------------


class VerificationError(LicenseError):
    """Somebody lied: the answer does not hold against the vendor's key."""


class BadSignatureError(VerificationError):
    """The answer does not chain to the vendor's key."""


class NotInJournalError(VerificationError):
    """The lease stands in no signed journal."""


class JournalForkError(VerificationError):
    """The site's journal was rolled back or forked."""


class MismatchError(VerificationError):
    """A true answer to another question."""


class BadProofError(VerificationError):
    """A borrowed seat, of which no device proves now that it has it."""


EXCEPTIONS: Dict[ErrorCode, Type[LicenseError]] = {
    ErrorCode.MEMORY: OutOfMemoryError,
    ErrorCode.ARGUMENT: InvalidArgumentError,
    ErrorCode.AGENT: AgentUnreachableError,
    ErrorCode.SITE: SiteUnreachableError,
    ErrorCode.TIMEOUT: AnswerTimeoutError,
    ErrorCode.PROTOCOL: ProtocolError,
    ErrorCode.SYSTEM: SystemFaultError,
    ErrorCode.NO_SEATS: LicenseUnavailableError,
    ErrorCode.OVERAGE_EXHAUSTED: OverageMaxExceededError,
    ErrorCode.NOT_ENTITLED: NotEntitledError,
    ErrorCode.VERSION: VersionNotCoveredError,
    ErrorCode.EXPIRED: LicenseExpiredError,
    ErrorCode.SUSPENDED: LicenseSuspendedError,
    ErrorCode.REFUSED: RefusedError,
    ErrorCode.GONE: LeaseLostError,
    ErrorCode.CANCELLED: WaitCancelled,
    ErrorCode.CLOCK: ClockTamperedError,
    ErrorCode.BAD_SIGNATURE: BadSignatureError,
    ErrorCode.NOT_IN_JOURNAL: NotInJournalError,
    ErrorCode.FORK: JournalForkError,
    ErrorCode.MISMATCH: MismatchError,
    ErrorCode.BAD_PROOF: BadProofError,
}


def make_error(code: int, detail: str) -> LicenseError:
    """The exception of a result of the library."""
    try:
        known = ErrorCode(code)
    except ValueError:  # of a newer library
        return LicenseError(code, detail)
    return EXCEPTIONS[known](known, detail)

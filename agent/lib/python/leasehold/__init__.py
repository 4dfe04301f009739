"""Leasehold: hold a seat of a licensed product, and know that you do.

    from leasehold import LicenseClient, LicenseUnavailableError

    with LicenseClient(vendor_key=KEY).checkout(
            user="anna", product="davinci", version="8.1.0") as lease:
        while lease.valid:
            work()

Threads: clients and leases may be shared by all threads.

Forks: in a child of os.fork() (and multiprocessing's "fork") every lease is
invalid and every client raises; make a new client there. The parent keeps
what it has.

Who is believed: nobody but the vendor whose key the application brings. What
Python cannot do is to keep its own user from changing the program.
"""

from ._borrow import Borrow
from ._client import Lease, LicenseClient, OnLost
from ._core import Waiting
from ._errors import (AgentUnreachableError, AnswerTimeoutError,
                      BadProofError, BadSignatureError,
                      ClockTamperedError, ErrorCode, InvalidArgumentError,
                      JournalForkError, LeaseLostError, LibraryError,
                      LicenseError, LicenseExpiredError,
                      LicenseSuspendedError, LicenseUnavailableError,
                      MismatchError, NotEntitledError, NotInJournalError,
                      OutOfMemoryError, OverageMaxExceededError,
                      ProtocolError, RefusedError, SiteUnreachableError,
                      SystemFaultError, UnreachableError, VerificationError,
                      VersionNotCoveredError, WaitCancelled)

__version__ = "0.1.0"

__all__ = [
    "AgentUnreachableError", "AnswerTimeoutError", "BadProofError",
    "BadSignatureError", "Borrow", "ClockTamperedError", "ErrorCode", "InvalidArgumentError", "JournalForkError", "Lease",
    "LeaseLostError", "LibraryError", "LicenseClient", "LicenseError",
    "LicenseExpiredError", "LicenseSuspendedError",
    "LicenseUnavailableError", "MismatchError", "NotEntitledError",
    "NotInJournalError", "OnLost", "OutOfMemoryError",
    "OverageMaxExceededError", "ProtocolError", "RefusedError",
    "SiteUnreachableError", "SystemFaultError", "UnreachableError",
    "VerificationError", "VersionNotCoveredError", "WaitCancelled",
    "Waiting", "__version__",
]

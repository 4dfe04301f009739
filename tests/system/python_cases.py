"""What test_python.py runs: programs as a vendor would write them, each a
function here and a process of its own, with the real interpreter's exit.

    python3 python_cases.py CASE

The environment says where (LEASEHOLD_SOCKET, CASE_KEY, CASE_STATE). A case
that returns has passed; lines that begin with "say " speak to the test.
"""

import concurrent.futures
import gc
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import warnings
from datetime import timedelta

import leasehold
from leasehold import LicenseClient

PRODUCT = "davinci-configurator-se"


def client(**kw):
    kw.setdefault("product", PRODUCT)
    kw.setdefault("version", "8.1.0")
    kw.setdefault("state_folder", os.environ["CASE_STATE"])
    return LicenseClient(kw.pop("vendor_key", os.environ["CASE_KEY"]), **kw)


def say(*words):
    print("say", *words, flush=True)


def heard():
    return sys.stdin.readline().strip()


def raises(kind, call, *args, **kw):
    """The exception, of exactly that class."""
    try:
        result = call(*args, **kw)
    except leasehold.LicenseError as error:
        assert type(error) is kind, repr(error)
        assert str(error) == error.detail and error.detail, repr(error)
        return error
    raise AssertionError("%r instead of %s" % (result, kind.__name__))


def wait_for(what, timeout=20.0):
    end = time.monotonic() + timeout
    while not what():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


# --- a seat -----------------------------------------------------------------


def context():
    """As the requirements have it: nothing but one expression."""
    with client().checkout(user="anna") as lease:
        assert lease.valid and lease.type == "commit" and lease.count == 1
        assert lease.id > 0 and lease.user == "anna"
        assert timedelta(0) < lease.time_left <= timedelta(minutes=1)
        assert lease.lost is None
        assert "1 commit of %s 8.1.0, valid" % PRODUCT in repr(lease)
        say("held", lease.id)
        heard()
    assert not lease.valid and lease.time_left == timedelta(0)
    assert "returned" in repr(lease)
    lease.return_()
    say("returned")
    heard()


def refusals():
    c = client()
    held = [c.checkout() for _ in range(3)]
    assert [lease.type for lease in held] == ["commit", "commit", "overage"]
    error = raises(leasehold.OverageMaxExceededError, c.checkout)
    assert isinstance(error, leasehold.LicenseUnavailableError)
    assert error.code is leasehold.ErrorCode.OVERAGE_EXHAUSTED
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.code, again.detail) == (
        type(error), error.code, error.detail)
    raises(leasehold.VersionNotCoveredError, c.checkout, version="7.0")
    raises(leasehold.NotEntitledError, c.checkout, product="other")
    wrong = raises(leasehold.InvalidArgumentError, c.checkout, version="x")
    assert isinstance(wrong, ValueError)
    for bad in ({"product": "a\0b"}, {"user": "x" * 64}, {"count": 0},
                {"count": 1025}, {"count": 1 << 32}, {"wait": -1},
                {"wait": 86401}, {"wait": float("nan")}, {"product": ""},
                {"user": "\ud800"}, {"product": 7}, {"user": b"anna"},
                {"wait": timedelta(days=2)}, {"wait": "5"}):
        raises(leasehold.InvalidArgumentError, c.checkout, **bad)
    raises(leasehold.InvalidArgumentError, client(product=None).checkout)
    raises(leasehold.InvalidArgumentError, client(version=None).checkout)
    c.return_license(held[0].id)
    assert not held[0].valid and c.leases == held[1:]
    c.return_license(held[0])
    raises(leasehold.LeaseLostError, c.return_license, held[0].id)
    raises(leasehold.InvalidArgumentError, client().return_license, held[1])
    with c.checkout() as lease:
        assert lease.type == "commit"
    c.close()
    c.close()
    assert not any(lease.valid for lease in held) and c.leases == []
    raises(leasehold.InvalidArgumentError, c.checkout)


def no_overage():
    with client(product="plain") as c:
        lease = c.checkout()
        error = raises(leasehold.LicenseUnavailableError, c.checkout)
        assert error.code is leasehold.ErrorCode.NO_SEATS
        lease.return_()


def several():
    """All or none, as one lease."""
    with client() as c:
        with c.checkout(count=2) as pair:
            assert pair.count == 2 and pair.valid
            assert "2 commit" in repr(pair)
            raises(leasehold.OverageMaxExceededError, c.checkout, count=2)
            with c.checkout() as third:
                assert (third.count, third.type) == (1, "overage")
        with c.checkout(product="features", feature="gpu", count=4) as gpu:
            assert (gpu.feature, gpu.count) == ("gpu", 4)
            raises(leasehold.LicenseUnavailableError, c.checkout,
                   product="features", feature="gpu")
            with c.checkout(product="features") as plain:
                assert plain.feature is None and plain.valid
        raises(leasehold.NotEntitledError, c.checkout, product="features",
               feature="none")


def wrong_key():
    raises(leasehold.InvalidArgumentError, client, vendor_key="k4.public.x")
    raises(leasehold.InvalidArgumentError, client, vendor_key="")
    # RFC 8032, test 1: somebody's key, not this vendor's.
    other = client(
        vendor_key="k4.public.11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
    error = raises(leasehold.BadSignatureError, other.checkout)
    assert isinstance(error, leasehold.VerificationError)


def no_agent():
    c = client(socket_path="/nonexistent/agent.sock")
    error = raises(leasehold.AgentUnreachableError, c.checkout)
    assert isinstance(error, leasehold.UnreachableError)
    assert error.code is leasehold.ErrorCode.AGENT


def no_site():
    raises(leasehold.SiteUnreachableError, client().checkout)


def not_copied():
    with client() as c, c.checkout() as lease:
        for thing in (c, lease):
            try:
                pickle.dumps(thing)
            except TypeError:
                pass
            else:
                raise AssertionError("%r was pickled" % thing)


# --- threads ----------------------------------------------------------------


def pool():
    """Twenty workers share a client, and three seats."""
    c = client()
    counts = {"held": 0, "most": 0, "refused": 0, "taken": 0}
    lock = threading.Lock()
    end = time.monotonic() + 3

    def work(number):
        while time.monotonic() < end:
            try:
                lease = c.checkout(user="user-%d" % number)
            except leasehold.OverageMaxExceededError:
                with lock:
                    counts["refused"] += 1
                continue
            with lock:
                counts["held"] += 1
                counts["taken"] += 1
                counts["most"] = max(counts["most"], counts["held"])
            assert lease.valid
            with lock:
                counts["held"] -= 1
            lease.return_()
            assert not lease.valid

    with concurrent.futures.ThreadPoolExecutor(20) as executor:
        for done in [executor.submit(work, n) for n in range(20)]:
            done.result()
    assert counts["most"] <= 3 and counts["taken"] > 10, counts
    assert counts["refused"] > 0, counts
    c.close()


def races():
    """One lease, looked at and returned by many at once; a client closed
    under those who use it."""
    for _ in range(30):
        c = client()
        lease = c.checkout()
        start = threading.Barrier(8)

        def look():
            start.wait()
            while lease.valid and lease.time_left > timedelta(0):
                repr(lease)

        def give():
            start.wait()
            lease.return_()

        def take():
            start.wait()
            try:
                while True:
                    c.checkout().return_()
            except leasehold.LicenseError:
                pass  # closed, or no seat

        def shut():
            start.wait()
            c.close()

        with concurrent.futures.ThreadPoolExecutor(8) as executor:
            for done in [executor.submit(f) for f in
                         (look, look, look, give, give, take, take, shut)]:
                done.result()


# --- forks ------------------------------------------------------------------


def rest():
    """gcc 12's AddressSanitizer hangs in a child of fork() when another
    thread was in malloc(): let the library's come to rest."""
    if "libasan" in os.environ.get("LD_PRELOAD", ""):
        time.sleep(0.5)


def check_child(c, lease):
    assert not lease.valid and lease.time_left == timedelta(0)
    lease.return_()
    c.return_license(lease)
    error = raises(leasehold.InvalidArgumentError, c.checkout)
    assert "fork" in error.detail, error
    c.close()
    del c, lease
    gc.collect()
    with client() as own, own.checkout(user="child") as mine:
        assert mine.valid


def fork():
    warnings.simplefilter("error", ResourceWarning)
    c = client()
    lease = c.checkout()
    descriptors = set(os.listdir("/proc/self/fd"))
    rest()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            # Those of the client are the parent's.
            assert len(os.listdir("/proc/self/fd")) < len(descriptors)
            check_child(c, lease)
            status = 0
        except BaseException as error:
            print("child:", repr(error), file=sys.stderr, flush=True)
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert lease.valid
    with lease, c.checkout() as second:
        assert second.valid and lease.valid


def fork_and_exit():
    """A child that ends as programs do takes nothing from its parent."""
    c = client()
    lease = c.checkout()
    rest()
    pid = os.fork()
    if pid == 0:
        sys.exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    say("held", lease.id)
    heard()
    assert lease.valid and c.leases == [lease]


def fork_in_a_storm():
    """Forks at any moment of other threads: each child gets its own seat or
    a plain refusal."""
    c = client()
    end = time.monotonic() + 2
    failures = []

    def work():
        while time.monotonic() < end:
            try:
                c.checkout().return_()
            except leasehold.LicenseUnavailableError:
                pass
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    children = 0
    while time.monotonic() < end:
        pid = os.fork()
        if pid == 0:
            try:
                try:
                    client().checkout().return_()
                except leasehold.LicenseUnavailableError:
                    pass
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        children += 1
    for thread in threads:
        thread.join()
    assert children > 3 and not failures, (children, failures)


def worker(number):
    """In a process pool."""
    with client() as c:
        try:
            with c.checkout(user="worker-%d" % number) as lease:
                assert lease.valid
                return "held"
        except leasehold.LicenseUnavailableError as error:
            return error


def refused_worker():
    with client() as c:
        c.checkout(product="other")


def multi():
    """multiprocessing, both ways, while the parent holds a seat."""
    held = client().checkout()
    rest()
    for way in ("fork", "spawn"):
        with multiprocessing.get_context(way).Pool(2) as processes:
            results = processes.map(worker, range(6))
            assert "held" in results, results
            # An exception comes back whole.
            error = raises(leasehold.NotEntitledError, processes.apply,
                           refused_worker)
            assert error.code is leasehold.ErrorCode.NOT_ENTITLED
    assert held.valid


# --- what is not returned ---------------------------------------------------


def collected():
    """A lease that is dropped goes back, and says so to who listens."""
    c = client()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        lease = c.checkout()
        assert c.leases == [lease]
        del lease
        gc.collect()
    assert [w.category for w in said] == [ResourceWarning], said
    assert "never returned" in str(said[0].message)
    say("dropped")
    heard()

    class Node:
        pass

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        node = Node()
        node.node, node.lease, node.client = node, c.checkout(), c
        del node
        gc.collect()
        assert len(said) == 1, said
        with c.checkout():
            pass
        assert len(said) == 1, said
    say("dropped")
    heard()


def collected_client():
    """Clients that nobody closed leave no threads and descriptors."""
    with client().checkout():
        pass
    time.sleep(0.5)
    before = len(os.listdir("/proc/self/fd")), len(
        os.listdir("/proc/self/task"))
    for _ in range(20):
        with client().checkout():
            pass
    wait_for(lambda: (len(os.listdir("/proc/self/fd")), len(
        os.listdir("/proc/self/task"))) <= before)


def left_at_exit():
    """The interpreter's end is an end as any other."""
    global kept
    kept = client().checkout(), client().checkout()


def killed_by_exception():
    with client() as c:
        c.checkout()
        left_at_exit()
        raise RuntimeError("as intended")


# --- waits ------------------------------------------------------------------


def wait_and_get():
    """Both ways to wait: the main thread and another."""
    c = client(product="plain")
    for thread in (False, True):
        first = c.checkout()
        places = []

        def on_waiting(place, length):
            places.append((place, length, threading.get_ident()))
            if len(places) == 2:
                first.return_()

        def take():
            took = time.monotonic()
            with c.checkout(wait=timedelta(seconds=30),
                            on_waiting=on_waiting) as lease:
                assert lease.valid
                assert time.monotonic() - took < 15
            assert all(i == threading.get_ident() for _, _, i in places)

        if thread:
            with concurrent.futures.ThreadPoolExecutor(1) as executor:
                executor.submit(take).result()
        else:
            take()
        assert len(places) >= 2, places
        assert (1, 1) in [place[:2] for place in places], places
    c.close()


def wait_in_vain():
    with client(product="plain") as c, c.checkout():
        started = time.monotonic()
        raises(leasehold.LicenseUnavailableError, c.checkout, wait=1.5)
        assert 1.0 < time.monotonic() - started < 15


def wait_cancelled():
    c = client(product="plain")
    held = c.checkout()

    def refuse(place, length):
        return False

    def fail(place, length):
        raise KeyError("as intended")

    def try_all():
        started = time.monotonic()
        raises(leasehold.WaitCancelled, c.checkout, wait=60,
               on_waiting=refuse)
        try:
            c.checkout(wait=60, on_waiting=fail)
        except KeyError as error:
            assert str(error) == "'as intended'"
        else:
            raise AssertionError("no KeyError")
        assert time.monotonic() - started < 15

    try_all()
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        executor.submit(try_all).result()
        # Who closes ends the waits of all others.
        waiting = executor.submit(c.checkout, wait=60)
        time.sleep(0.5)
        started = time.monotonic()
        c.close()
        assert time.monotonic() - started < 10
        raises(leasehold.WaitCancelled, waiting.result)
    assert not held.valid


def interrupted():
    """Ctrl-C in a wait; the test sends it."""
    with client(product="plain") as c, c.checkout() as held:
        started = time.monotonic()
        try:
            c.checkout(wait=60, on_waiting=lambda *place: say("place", *place))
        except KeyboardInterrupt:
            pass
        else:
            raise AssertionError("not interrupted")
        assert time.monotonic() - started < 15
        say("interrupted")
        heard()
        assert held.valid
        held.return_()
        # The place in the queue is nobody's: the next is served at once.
        with c.checkout(wait=10) as lease:
            assert lease.valid


def handled():
    """A signal handler that gives all back, whatever runs at that moment."""
    for number in range(6):
        c = client(product="plain")
        lease = c.checkout(wait=20)

        def handler(*unused):
            lease.return_()
            c.close()

        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.05 + 0.03 * number)
        try:
            if number % 2:
                while lease.valid:
                    pass
            else:
                # It may get the seat before the client is closed.
                assert not c.checkout(wait=60).valid
        except (leasehold.WaitCancelled, leasehold.InvalidArgumentError):
            pass
        assert not lease.valid
        raises(leasehold.InvalidArgumentError, c.checkout)


def left_waiting():
    """The end of the program ends a thread's wait."""
    c = client(product="plain")
    left_waiting.lease = c.checkout()
    begun = threading.Event()
    threading.Thread(
        target=c.checkout, daemon=True, kwargs={
            "wait": 600, "on_waiting": lambda *place: begun.set()}).start()
    assert begun.wait(20)


# --- losses -----------------------------------------------------------------


def lost():
    """The admin takes leases back; on_lost hears it, may return them, and may
    fail."""
    told = []
    raised = []
    sys.unraisablehook = lambda args: raised.append(args.exc_value)

    def on_lost(lease, error):
        told.append((lease, error))
        assert threading.current_thread() is not threading.main_thread()
        assert not lease.valid and lease.lost is error
        inner = raises(leasehold.InvalidArgumentError, lease.client.checkout)
        assert "on_lost" in inner.detail
        lease.return_()
        lease.client.return_license(lease)
        if len(told) == 2:
            raise ZeroDivisionError("as intended")

    c = client(on_lost=on_lost)
    first, second, third = (c.checkout() for _ in range(3))
    for number, lease in enumerate((first, second)):
        say("release", lease.id)
        wait_for(lambda: len(told) > number)
        assert told[number][0] is lease
        error = told[number][1]
        assert type(error) is leasehold.LeaseLostError, repr(error)
        assert "admin" in error.detail, error
        wait_for(lambda: c.leases == [x for x in (second, third)
                                      if not x.lost])
    wait_for(lambda: raised)
    assert [type(e) for e in raised] == [ZeroDivisionError], raised
    assert third.valid and third.lost is None
    # Within on_lost a client may be closed too.
    last = []

    def closing(lease, error):
        lease.client.close()
        last.append(lease)

    other = client(on_lost=closing)
    fourth = other.checkout()
    say("release", fourth.id)
    wait_for(lambda: last)
    wait_for(lambda: other.leases == [])
    raises(leasehold.InvalidArgumentError, other.checkout)


def lost_unheard():
    """Without on_lost a loss shows in the lease; a dropped one bothers
    nobody."""
    warnings.simplefilter("ignore", ResourceWarning)
    c = client()
    lease, dropped = c.checkout(), c.checkout()
    say("release", lease.id)
    wait_for(lambda: lease.lost is not None)
    assert not lease.valid and "not valid" in repr(lease)
    assert c.leases[0] is lease
    say("release", dropped.id)
    del dropped
    lease.return_()
    with c.checkout() as other:
        assert other.valid


if __name__ == "__main__":
    # What a shell runs in the background was told to ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    globals()[sys.argv[1]]()

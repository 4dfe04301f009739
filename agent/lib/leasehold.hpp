/*
 * libleasehold for C++17: seats that give themselves back. Header only, over
 * leasehold.h, which has the last word on bounds and meaning.
 *
 *     leasehold::Client client("k4.public....");
 *     leasehold::Seat seat = client.checkout("davinci", "8.1.0");
 *     while (seat.valid())
 *         work();
 *
 * Errors are exceptions, all of them leasehold::Error; a seat that is not free
 * is one too, but for try_checkout(). Only memory that C++ itself lacks is
 * std::bad_alloc.
 *
 * Owning. A Client owns the library's client, a Seat its seat and a share of
 * that client: whichever goes last ends it. So seats may outlive the Client
 * they came from. What is moved from is empty. Destructors do not throw; ~Seat
 * waits at most two seconds to hear that the seat is back, and the last one's
 * end as lh_client_free() tells.
 *
 * Threads. A Client may be used by several threads at once; a Seat as any
 * object of the standard library: const calls at once, others alone.
 *
 * Forks. In a child every seat is invalid and the client throws
 * InvalidArgumentError: make a new one. Destructors of what was inherited do
 * no harm.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LEASEHOLD_HPP
#define LEASEHOLD_HPP

#if __cplusplus < 201703L
#error "leasehold.hpp wants C++17: leasehold.h is for older compilers"
#elif !defined(__cpp_exceptions)
#error "leasehold.hpp throws: leasehold.h is for programs without exceptions"
#endif

#include "leasehold.h"

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace leasehold
{
/* Programs that were made with two versions of this header may be linked. */
inline namespace v0_1
{

/* --- errors --------------------------------------------------------------- */

/** The base of all. what() is for people: what happened, what it means, what
 * to type. */
class Error : public std::runtime_error
{
public:
	Error(int code, const std::string &detail)
	    : std::runtime_error(detail), code_(code)
	{
	}
	/** LH_E_* of leasehold.h. */
	int code() const noexcept
	{
		return code_;
	}

private:
	int code_;
};

#define LEASEHOLD_ERROR_(name, base) \
	class name : public base     \
	{                            \
	public:                      \
		using base::base;    \
	}

/* Faults. After those that are unreachable, and ProtocolError, the outcome is
 * unknown; the same checkout again takes no second seat. */
LEASEHOLD_ERROR_(UnreachableError, Error);
LEASEHOLD_ERROR_(AgentUnreachableError, UnreachableError);
LEASEHOLD_ERROR_(SiteUnreachableError, UnreachableError);
LEASEHOLD_ERROR_(AnswerTimeoutError, UnreachableError);
LEASEHOLD_ERROR_(ProtocolError, Error);
LEASEHOLD_ERROR_(OutOfMemoryError, Error);
LEASEHOLD_ERROR_(InvalidArgumentError, Error);
LEASEHOLD_ERROR_(SystemFaultError, Error);
/* Refusals: RefusedError itself for what has no name of its own. */
LEASEHOLD_ERROR_(RefusedError, Error);
LEASEHOLD_ERROR_(LicenseUnavailableError, RefusedError);
LEASEHOLD_ERROR_(OverageMaxExceededError, LicenseUnavailableError);
LEASEHOLD_ERROR_(NotEntitledError, RefusedError);
LEASEHOLD_ERROR_(VersionNotCoveredError, RefusedError);
LEASEHOLD_ERROR_(LicenseExpiredError, RefusedError);
LEASEHOLD_ERROR_(LicenseSuspendedError, RefusedError);
LEASEHOLD_ERROR_(LeaseLostError, RefusedError);
LEASEHOLD_ERROR_(WaitCancelled, RefusedError);
LEASEHOLD_ERROR_(ClockTamperedError, RefusedError);
/* The verifier: somebody lied. */
LEASEHOLD_ERROR_(VerificationError, Error);
LEASEHOLD_ERROR_(BadSignatureError, VerificationError);
LEASEHOLD_ERROR_(NotInJournalError, VerificationError);
LEASEHOLD_ERROR_(JournalForkError, VerificationError);
LEASEHOLD_ERROR_(MismatchError, VerificationError);
LEASEHOLD_ERROR_(BadProofError, VerificationError);

#undef LEASEHOLD_ERROR_

/** Throw the exception of a result. */
[[noreturn]] inline void
throw_error(int code, const std::string &detail)
{
	switch (static_cast<lh_error>(code)) {
	case LH_E_MEMORY:
		throw OutOfMemoryError(code, detail);
	case LH_E_ARGUMENT:
		throw InvalidArgumentError(code, detail);
	case LH_E_AGENT:
		throw AgentUnreachableError(code, detail);
	case LH_E_SITE:
		throw SiteUnreachableError(code, detail);
	case LH_E_TIMEOUT:
		throw AnswerTimeoutError(code, detail);
	case LH_E_PROTOCOL:
		throw ProtocolError(code, detail);
	case LH_E_SYSTEM:
		throw SystemFaultError(code, detail);
	case LH_E_NO_SEATS:
		throw LicenseUnavailableError(code, detail);
	case LH_E_OVERAGE_EXHAUSTED:
		throw OverageMaxExceededError(code, detail);
	case LH_E_NOT_ENTITLED:
		throw NotEntitledError(code, detail);
	case LH_E_VERSION:
		throw VersionNotCoveredError(code, detail);
	case LH_E_EXPIRED:
		throw LicenseExpiredError(code, detail);
	case LH_E_SUSPENDED:
		throw LicenseSuspendedError(code, detail);
	case LH_E_REFUSED:
		throw RefusedError(code, detail);
	case LH_E_GONE:
		throw LeaseLostError(code, detail);
	case LH_E_CANCELLED:
		throw WaitCancelled(code, detail);
	case LH_E_CLOCK:
		throw ClockTamperedError(code, detail);
	case LH_E_BAD_SIGNATURE:
		throw BadSignatureError(code, detail);
	case LH_E_NOT_IN_JOURNAL:
		throw NotInJournalError(code, detail);
	case LH_E_FORK:
		throw JournalForkError(code, detail);
	case LH_E_MISMATCH:
		throw MismatchError(code, detail);
	case LH_E_BAD_PROOF:
		throw BadProofError(code, detail);
	case LH_OK:
		break;
	}
	/* Of a newer library. */
	throw Error(code, detail);
}

/* --- what to say ---------------------------------------------------------- */

enum class SeatType { commit = LH_SEAT_COMMIT, overage = LH_SEAT_OVERAGE };

/** A seat that was lost, and why. */
struct Loss {
	std::uint64_t id; /* of the lease */
	SeatType type;
	std::uint32_t count;
	int code; /* LH_E_* */
	std::string detail; /* for people */

	/** The same as an exception. */
	[[noreturn]] void raise() const
	{
		throw_error(code, detail);
	}
};

struct Options {
	/** "k4.public....", compiled into the application: whom to believe. */
	std::string vendor_key;
	/** Absent: $LEASEHOLD_SOCKET, else /run/leasehold/agent.sock. */
	std::optional<std::string> socket_path;
	/** Absent: below the user's state folder; "": in this process only. */
	std::optional<std::string> state_folder;
	/** No thread: the application calls Client::beat(). */
	bool manual_beats = false;
	/** Called when a seat is lost, in the library's thread (or beat()'s).
	 * Keep it short, as renewals wait for it. It may look at seats and let
	 * go of them; other calls of a client are not for this thread. Who
	 * lets go of the seat elsewhere waits for it to end: hold no lock then
	 * that it takes. What it throws ends the program, as in any
	 * std::thread. Lives until the last owner of the client is gone. */
	std::function<void(const Loss &)> lost;
};

struct Request {
	std::string product; /* 1 to 63 bytes of UTF-8 */
	std::string version; /* the one that runs: "8.1.0" */
	std::optional<std::string> feature; /* which has seats of its own */
	std::optional<std::string> user; /* absent: the login name */
	std::uint32_t count = 1; /* 1 to 1024, all or none */
	/** To stand in the site's queue, at most a day; rounded up to whole
	 * seconds. 0: an answer at once. */
	std::chrono::milliseconds wait{ 0 };
	/** Called in the waiting thread, about once a second; place 1 is next,
	 * 0 is not known now. False leaves the queue (WaitCancelled), and so
	 * does what it throws, which checkout() throws on. */
	std::function<bool(std::uint32_t place, std::uint32_t length)> waiting;
};

enum class BorrowState {
	lent = LH_BORROW_LENT,
	returning = LH_BORROW_RETURNING, /* on its way back */
	unproven = LH_BORROW_UNPROVEN, /* over, and the site has no proof yet */
};

/** Seats that this workstation has taken along, as the agent tells it. Its
 * seats are taken with checkout(), which verifies what they are worth. */
struct Borrow {
	std::uint64_t id; /* of the lease, as Seat::id() */
	std::string product, version, feature; /* feature "": none */
	std::uint32_t count; /* seats */
	std::uint32_t used; /* of them, by applications here now */
	SeatType type;
	BorrowState state;
	std::chrono::seconds length; /* of powered-on time, from here: */
	std::chrono::system_clock::time_point taken_at;
	std::chrono::system_clock::time_point until; /* over at the latest */
};

struct BorrowRequest {
	std::string product; /* as in Request */
	std::string version;
	std::optional<std::string> feature;
	std::optional<std::string> user;
	std::uint32_t count = 1;
	std::chrono::seconds length{ 0 }; /* of powered-on time */
};

/* --- inside --------------------------------------------------------------- */

namespace detail
{

/** C reads to the first NUL, and would read another text. */
inline const char *
text(const char *name, const std::string &value)
{
	if (value.find('\0') != std::string::npos)
		throw InvalidArgumentError(LH_E_ARGUMENT,
		    std::string(name) + " has a NUL in it");
	return value.c_str();
}

inline const char *
text(const char *name, const std::optional<std::string> &value)
{
	return value ? text(name, *value) : nullptr;
}

inline int
timeout_ms(std::chrono::milliseconds timeout)
{
	constexpr std::chrono::milliseconds most(INT32_MAX);

	return static_cast<int>((timeout < most ? timeout : most).count());
}

inline std::chrono::system_clock::time_point
moment(std::int64_t time_ms)
{
	return std::chrono::system_clock::time_point(
	    std::chrono::duration_cast<std::chrono::system_clock::duration>(
		std::chrono::milliseconds(time_ms)));
}

inline Borrow
borrow(const lh_borrow &given)
{
	return { given.id, given.product, given.version, given.feature,
		given.count, given.used, static_cast<SeatType>(given.type),
		static_cast<BorrowState>(given.state),
		std::chrono::seconds(given.length_s), moment(given.taken_at_ms),
		moment(given.until_ms) };
}

inline std::uint32_t
length_s(std::chrono::seconds length)
{
	constexpr std::chrono::seconds most(31622400);

	if (length.count() < 1 || length > most)
		throw InvalidArgumentError(LH_E_ARGUMENT,
		    "length must be from 1 s to 366 days");
	return static_cast<std::uint32_t>(length.count());
}

/** What lh_borrow_list() tells; no exception may pass through C. */
struct Borrows {
	std::vector<Borrow> found;
	std::exception_ptr thrown = nullptr;

	static void add(void *ctx, const lh_borrow *given) noexcept
	{
		Borrows *self = static_cast<Borrows *>(ctx);

		try {
			self->found.push_back(borrow(*given));
		} catch (...) {
			self->thrown = std::current_exception();
		}
	}
};

/** The library's client and what it calls back, for all who share it. */
class Shared
{
public:
	static std::shared_ptr<Shared> make(const Options &options)
	{
		return std::shared_ptr<Shared>(new Shared(options), release);
	}
	Shared(const Shared &) = delete;
	Shared &operator=(const Shared &) = delete;

	lh_client *get() const noexcept
	{
		return client_;
	}

private:
	explicit Shared(const Options &options) : lost_(options.lost)
	{
		lh_options given = {};

		given.size = sizeof(given);
		given.vendor_key = text("vendor_key", options.vendor_key);
		given.socket_path = text("socket_path", options.socket_path);
		given.state_folder = text("state_folder", options.state_folder);
		given.manual_beats = options.manual_beats ? 1 : 0;
		given.lost = lost_ ? on_lost : nullptr;
		given.ctx = this;
		int error = lh_client_new(&client_, &given);

		if (error != LH_OK)
			throw_error(error, lh_detail());
	}
	~Shared()
	{
		lh_client_free(client_);
	}

	/** The one whose `lost` runs in this thread. */
	static const Shared *&calling() noexcept
	{
		static thread_local const Shared *shared = nullptr;

		return shared;
	}

	/** A thread of the library's cannot wait for its own end. */
	static void release(const Shared *shared) noexcept
	{
		if (calling() != shared) {
			delete shared;
			return;
		}
		try {
			std::thread([shared] { delete shared; }).detach();
		} catch (const std::system_error &) {
			/* No thread to be had: it ends with the process. */
		}
	}

	static void on_lost(void *ctx, lh_seat *seat, int error) noexcept
	{
		const Shared *shared = static_cast<Shared *>(ctx);
		const Shared *before = std::exchange(calling(), shared);

		shared->lost_({ lh_seat_id(seat),
		    static_cast<SeatType>(lh_seat_type(seat)),
		    lh_seat_count(seat), error, lh_detail() });
		calling() = before;
	}

	std::function<void(const Loss &)> lost_;
	lh_client *client_ = nullptr;
};

/** `waiting`, and what it threw, which must not pass through C. */
struct Waiting {
	const Request &request;
	std::exception_ptr thrown = nullptr;

	static int step(void *ctx, std::uint32_t place,
	    std::uint32_t length) noexcept
	{
		Waiting *self = static_cast<Waiting *>(ctx);

		try {
			return self->request.waiting(place, length) ? 0 : 1;
		} catch (...) {
			self->thrown = std::current_exception();
			return 1;
		}
	}
};

} /* namespace detail */

/* --- seats and clients ---------------------------------------------------- */

/** A lease held, or nothing. */
class Seat
{
public:
	Seat() noexcept = default;
	Seat(Seat &&other) noexcept
	    : shared_(std::move(other.shared_)),
	      seat_(std::exchange(other.seat_, nullptr))
	{
	}
	Seat &operator=(Seat &&other) noexcept
	{
		Seat old(std::move(other));

		swap(old);
		return *this;
	}
	Seat(const Seat &) = delete;
	Seat &operator=(const Seat &) = delete;
	~Seat()
	{
		reset();
	}

	/** Is there a lease at all, valid or not? */
	explicit operator bool() const noexcept
	{
		return seat_ != nullptr;
	}
	/** May the application run on it right now? No system call, no lock. */
	bool valid() const noexcept
	{
		return seat_ != nullptr && lh_seat_valid(seat_) != 0;
	}
	/** Say that somebody works with it right now; see lh_seat_active(). */
	void active() noexcept
	{
		lh_seat_active(seat_);
	}
	/** Until it is no longer valid if nothing is renewed; 0: it is not. */
	std::chrono::milliseconds left() const noexcept
	{
		return std::chrono::milliseconds(
		    seat_ == nullptr ? 0 : lh_seat_left_ms(seat_));
	}
	/** The lease's number at the site; 0 without one. */
	std::uint64_t id() const noexcept
	{
		return seat_ == nullptr ? 0 : lh_seat_id(seat_);
	}
	SeatType type() const noexcept
	{
		return seat_ == nullptr
		    ? SeatType::commit
		    : static_cast<SeatType>(lh_seat_type(seat_));
	}
	/** How many seats the lease is of; 0 without one. */
	std::uint32_t count() const noexcept
	{
		return seat_ == nullptr ? 0 : lh_seat_count(seat_);
	}
	/** Is it one that this workstation has borrowed? */
	bool borrowed() const noexcept
	{
		return lh_seat_is_borrowed(seat_) != 0;
	}
	/** When the borrow is over at the latest; the epoch: it is none. */
	std::chrono::system_clock::time_point borrowed_until() const noexcept
	{
		return detail::moment(lh_seat_until_ms(seat_));
	}
	/** Give it back now. */
	void reset() noexcept
	{
		lh_return(std::exchange(seat_, nullptr));
		shared_.reset();
	}
	void swap(Seat &other) noexcept
	{
		shared_.swap(other.shared_);
		std::swap(seat_, other.seat_);
	}

private:
	friend class Client;
	Seat(std::shared_ptr<detail::Shared> shared, lh_seat *seat) noexcept
	    : shared_(std::move(shared)), seat_(seat)
	{
	}

	std::shared_ptr<detail::Shared> shared_;
	lh_seat *seat_ = nullptr;
};

inline void
swap(Seat &one, Seat &other) noexcept
{
	one.swap(other);
}

/** A vendor's key and a way to the agent. Moved from, only assigned to and
 * destroyed. */
class Client
{
public:
	/** Does not connect. */
	explicit Client(const Options &options)
	    : shared_(detail::Shared::make(options))
	{
	}
	explicit Client(std::string_view vendor_key)
	    : Client(with_key(vendor_key))
	{
	}
	Client(Client &&) noexcept = default;
	Client &operator=(Client &&) noexcept = default;
	Client(const Client &) = delete;
	Client &operator=(const Client &) = delete;
	~Client() = default;

	/** Take seats; blocks for the wait and at most 20 s more. */
	Seat checkout(const Request &request)
	{
		return take(request, false);
	}
	/** One seat for the login name, at once or within `wait`. */
	Seat checkout(std::string_view product, std::string_view version,
	    std::chrono::milliseconds wait = std::chrono::milliseconds(0))
	{
		Request request;

		request.product = product;
		request.version = version;
		request.wait = wait;
		return take(request, false);
	}
	/** An empty Seat when none is free (LicenseUnavailableError and
	 * OverageMaxExceededError); throws everything else. */
	Seat try_checkout(const Request &request)
	{
		return take(request, true);
	}

	/** Renew every seat now. Throws the first error; seats stay valid to
	 * the end of what was signed. */
	void beat(std::chrono::milliseconds timeout)
	{
		int error =
		    lh_beat(shared_->get(), detail::timeout_ms(timeout));

		if (error != LH_OK)
			throw_error(error, lh_detail());
	}
	/** How often to, with manual beats; 0 when no seat is held. */
	std::chrono::milliseconds beat_interval() const noexcept
	{
		return std::chrono::milliseconds(
		    lh_beat_interval_ms(shared_->get()));
	}

	/** Take seats along, so that checkout() finds them without the site.
	 * RefusedError says what license or site do not lend; after an
	 * UnreachableError the same again takes no second one. All calls about
	 * borrows block for `timeout` at most. */
	Borrow borrow(const BorrowRequest &request,
	    std::chrono::milliseconds timeout = std::chrono::minutes(1))
	{
		lh_borrow_request given = {};
		lh_borrow taken = {};

		given.size = sizeof(given);
		given.product = detail::text("product", request.product);
		given.version = detail::text("version", request.version);
		given.feature = detail::text("feature", request.feature);
		given.user = detail::text("user", request.user);
		given.count = request.count;
		given.length_s = detail::length_s(request.length);
		taken.size = sizeof(taken);
		if (request.count == 0) /* which C takes for 1 */
			throw InvalidArgumentError(LH_E_ARGUMENT,
			    "count must be from 1 to 1024");
		check(lh_borrow_take(&taken, shared_->get(), &given,
		    detail::timeout_ms(timeout)));
		return detail::borrow(taken);
	}
	/** Make it last for `length` from now on; its seats go on. */
	Borrow extend_borrow(std::uint64_t id, std::chrono::seconds length,
	    std::chrono::milliseconds timeout = std::chrono::minutes(1))
	{
		lh_borrow extended = {};

		extended.size = sizeof(extended);
		check(lh_borrow_extend(&extended, shared_->get(), id,
		    detail::length_s(length), detail::timeout_ms(timeout)));
		return detail::borrow(extended);
	}
	/** Give it back before its end; 0: all of this user's. False: the site
	 * has no proof of it yet; the agent sees to that. */
	bool return_borrow(std::uint64_t id,
	    std::chrono::milliseconds timeout = std::chrono::minutes(1))
	{
		int proved = 0;

		check(lh_borrow_return(&proved, shared_->get(), id,
		    detail::timeout_ms(timeout)));
		return proved != 0;
	}
	/** This user's on this workstation, and everybody's. */
	std::vector<Borrow> borrows(
	    std::chrono::milliseconds timeout = std::chrono::seconds(10)) const
	{
		detail::Borrows borrows;

		check(lh_borrow_list(shared_->get(), borrows.add, &borrows,
		    detail::timeout_ms(timeout)));
		if (borrows.thrown)
			std::rethrow_exception(borrows.thrown);
		return borrows.found;
	}

private:
	static void check(int error)
	{
		if (error != LH_OK)
			throw_error(error, lh_detail());
	}

	static Options with_key(std::string_view vendor_key)
	{
		Options options;

		options.vendor_key = vendor_key;
		return options;
	}

	static int wait_s(std::chrono::milliseconds wait)
	{
		constexpr std::chrono::milliseconds most =
		    std::chrono::hours(24);

		if (wait < wait.zero() || wait > most)
			throw InvalidArgumentError(LH_E_ARGUMENT,
			    "wait must be from 0 to 24 hours");
		return static_cast<int>(
		    std::chrono::ceil<std::chrono::seconds>(wait).count());
	}

	Seat take(const Request &request, bool empty_when_none)
	{
		detail::Waiting waiting{ request };
		lh_request given = {};
		lh_seat *taken = nullptr;

		given.size = sizeof(given);
		given.product = detail::text("product", request.product);
		given.version = detail::text("version", request.version);
		given.feature = detail::text("feature", request.feature);
		given.user = detail::text("user", request.user);
		given.count = request.count;
		given.wait_s = wait_s(request.wait);
		given.waiting = request.waiting ? waiting.step : nullptr;
		given.ctx = &waiting;
		if (request.count == 0) /* which C takes for 1 */
			throw InvalidArgumentError(LH_E_ARGUMENT,
			    "count must be from 1 to 1024");
		int error = lh_checkout_with(&taken, shared_->get(), &given);
		Seat seat(shared_, taken);

		if (waiting.thrown)
			std::rethrow_exception(waiting.thrown);
		if (error == LH_OK ||
		    (empty_when_none &&
			(error == LH_E_NO_SEATS ||
			    error == LH_E_OVERAGE_EXHAUSTED)))
			return seat;
		throw_error(error, lh_detail());
	}

	std::shared_ptr<detail::Shared> shared_;
};

/** "0.1.0": of the library that is loaded. */
inline std::string
library_version()
{
	return lh_version();
}

} // namespace v0_1
} /* namespace leasehold */

#endif

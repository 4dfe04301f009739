/*
 * What test_cpp.py runs: programs as a vendor would write them, each a function
 * here and a process of its own.
 *
 *     seat_cases CASE
 *
 * The environment says where (LEASEHOLD_SOCKET, CASE_KEY). A case that returns
 * has passed. A line that begins with "say" speaks to the test, which answers
 * with a line.
 */
#include <leasehold.hpp>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>
#include <mutex>
#include <sstream>
#include <sys/wait.h>
#include <type_traits>
#include <unistd.h>
#include <vector>

using namespace std::chrono_literals;
using leasehold::Client;
using leasehold::Loss;
using leasehold::Options;
using leasehold::Request;
using leasehold::Seat;
using leasehold::SeatType;

static const char *const product = "davinci-configurator-se";

static_assert(std::is_nothrow_move_constructible_v<Seat>);
static_assert(std::is_nothrow_move_assignable_v<Seat>);
static_assert(std::is_nothrow_destructible_v<Seat>);
static_assert(std::is_nothrow_destructible_v<Client>);
static_assert(std::is_nothrow_swappable_v<Seat>);
static_assert(!std::is_copy_constructible_v<Seat>);
static_assert(!std::is_copy_constructible_v<Client>);

[[noreturn]] static void
fail(int line, const char *words)
{
	std::cerr << line << ": " << words << "\n";
	std::exit(1);
}

#define CHECK(condition)                            \
	do {                                        \
		if (!(condition))                   \
			fail(__LINE__, #condition); \
	} while (0)

/* Exactly that exception, with its code and words. */
template <typename Expected, typename Call>
static void
check_throws(int code, Call call, const char *words = "")
{
	try {
		call();
	} catch (const leasehold::Error &error) {
		if (typeid(error) != typeid(Expected) || error.code() != code)
			std::cerr << typeid(error).name() << ": "
				  << error.what() << "\n";
		CHECK(typeid(error) == typeid(Expected));
		CHECK(error.code() == code);
		CHECK(*error.what() != '\0');
		CHECK(
		    std::string(error.what()).find(words) != std::string::npos);
		return;
	}
	fail(__LINE__, "nothing was thrown");
}

static std::string
need(const char *name)
{
	const char *value = std::getenv(name);

	CHECK(value != nullptr);
	return value;
}

static Options
options()
{
	Options made;

	made.vendor_key = need("CASE_KEY");
	made.state_folder = "";
	return made;
}

static Request
request(const char *of = product)
{
	Request made;

	made.product = of;
	made.version = "8.1.0";
	return made;
}

static void
say(const std::string &words)
{
	std::string answer;

	std::cout << "say " << words << std::endl;
	std::getline(std::cin, answer);
}

static void
wait_for(const std::function<bool()> &what)
{
	auto end = std::chrono::steady_clock::now() + 20s;

	while (!what()) {
		CHECK(std::chrono::steady_clock::now() < end);
		std::this_thread::sleep_for(10ms);
	}
}

/* --- owning --------------------------------------------------------------- */

static void
scope()
{
	{
		Client client(options());
		Request asked = request();

		asked.user = "anna";
		Seat seat = client.checkout(asked);

		CHECK(seat && seat.valid() && seat.id() > 0);
		CHECK(seat.type() == SeatType::commit && seat.count() == 1);
		CHECK(seat.left() > 0s && seat.left() <= 60s);
		say("held " + std::to_string(seat.id()));
	}
	say("returned");
}

static void
unwinding()
{
	Client client(options());

	try {
		Seat first = client.checkout(request("plain"));
		Seat second = client.checkout(request("plain"));

		fail(__LINE__, "two of one");
	} catch (const leasehold::LicenseUnavailableError &) {
		/* On the way here the first went back. */
		Seat third = client.checkout(request("plain"));

		CHECK(third.valid());
	}
	try {
		Seat seat = client.checkout(request("plain"));

		throw 7;
	} catch (int) {
	}
	say("free");
}

static void
moved()
{
	Client client(options());
	Seat one = client.checkout(product, "8.1.0");
	std::uint64_t id = one.id();
	Seat two = std::move(one);

	/* NOLINTBEGIN: it is empty, and may be asked. */
	CHECK(!one && !one.valid() && one.id() == 0 && one.left() == 0s);
	CHECK(one.count() == 0 && one.type() == SeatType::commit);
	one.reset();
	/* NOLINTEND */
	CHECK(two.valid() && two.id() == id);
	one = client.checkout(product, "8.1.0");
	std::uint64_t other = one.id();

	swap(one, two);
	CHECK(one.id() == id && two.id() == other);
	one = std::move(two);
	CHECK(one.id() == other && one.valid() && !two);
	Seat &self = one;

	one = std::move(self);
	CHECK(one.id() == other && one.valid());
	say("held " + std::to_string(other));
	one.reset();
	one.reset();
	CHECK(!one && !one.valid());
	Client next = std::move(client);
	Seat last = next.checkout(product, "8.1.0");

	CHECK(last.valid());
	last = Seat();
	say("free");
}

static void
container()
{
	std::vector<Seat> seats;
	std::map<std::uint64_t, Seat> by_id;
	Client client(options());

	for (int i = 0; i < 3; i++)
		seats.push_back(client.checkout(product, "8.1.0"));
	CHECK(seats[2].type() == SeatType::overage);
	seats.erase(seats.begin());
	CHECK(seats.size() == 2 && seats[0].valid() && seats[1].valid());
	seats.push_back(client.checkout(product, "8.1.0"));
	for (Seat &seat : seats)
		by_id.emplace(seat.id(), std::move(seat));
	seats.clear();
	for (const auto &[id, seat] : by_id)
		CHECK(seat.id() == id && seat.valid());
	std::optional<Seat> perhaps = std::move(by_id.begin()->second);

	CHECK(perhaps->valid());
}

/* A seat is good without the client it came from. */
static void
outlives()
{
	Seat seat = Client(options()).checkout(product, "8.1.0");

	CHECK(seat.valid());
	say("held " + std::to_string(seat.id()));
	CHECK(seat.valid());
	Seat other = Client(need("CASE_KEY")).checkout(product, "8.1.0");

	seat = std::move(other);
	CHECK(seat.valid());
}

/* --- refusals ------------------------------------------------------------- */

static void
refusals()
{
	Client client(options());
	std::vector<Seat> seats;

	for (int i = 0; i < 3; i++)
		seats.push_back(client.checkout(request()));
	check_throws<leasehold::OverageMaxExceededError>(LH_E_OVERAGE_EXHAUSTED,
	    [&] { client.checkout(request()); });
	CHECK(!client.try_checkout(request()));
	check_throws<leasehold::VersionNotCoveredError>(LH_E_VERSION,
	    [&] { client.checkout(product, "7.0"); });
	check_throws<leasehold::NotEntitledError>(LH_E_NOT_ENTITLED,
	    [&] { client.try_checkout(request("other")); });
	Seat plain = client.try_checkout(request("plain"));

	CHECK(plain.valid());
	CHECK(!client.try_checkout(request("plain")));
	check_throws<leasehold::LicenseUnavailableError>(LH_E_NO_SEATS,
	    [&] { client.checkout("plain", "8.1.0"); });
}

static void
several()
{
	Client client(options());
	Request asked = request();

	asked.count = 2;
	Seat pair = client.checkout(asked);

	CHECK(pair.valid() && pair.count() == 2);
	CHECK(!client.try_checkout(asked));
	CHECK(client.checkout(request()).type() == SeatType::overage);
	asked = request("features");
	asked.feature = "gpu";
	asked.count = 4;
	Seat four = client.checkout(asked);

	CHECK(four.valid() && four.count() == 4);
	asked.count = 1;
	check_throws<leasehold::LicenseUnavailableError>(LH_E_NO_SEATS,
	    [&] { client.checkout(asked); });
	CHECK(client.checkout(request("features")).valid());
	asked.feature = "none";
	check_throws<leasehold::NotEntitledError>(LH_E_NOT_ENTITLED,
	    [&] { client.checkout(asked); });
}

static void
arguments()
{
	Client client(options());
	using Invalid = leasehold::InvalidArgumentError;
	auto refused = [&](const char *words, auto change) {
		Request asked = request();

		change(asked);
		check_throws<Invalid>(
		    LH_E_ARGUMENT, [&] { client.checkout(asked); }, words);
	};

	/* C would take these for other texts. */
	refused("product has a NUL", [](Request &asked) {
		asked.product = std::string("davinci\0x", 9);
	});
	refused("user has a NUL",
	    [](Request &asked) { asked.user = std::string("a\0b", 3); });
	refused("feature has a NUL",
	    [](Request &asked) { asked.feature = std::string(1, '\0'); });
	check_throws<Invalid>(LH_E_ARGUMENT, [&] {
		client.checkout(std::string_view("davinci\0", 8), "8.1.0");
	});
	/* A view need not end in a NUL. */
	std::string_view both = "davinci-configurator-se8.1.0";

	CHECK(client.checkout(both.substr(0, 23), both.substr(23)).valid());
	refused("", [](Request &asked) { asked.product = ""; });
	refused("", [](Request &asked) { asked.user = std::string(64, 'u'); });
	refused("", [](Request &asked) { asked.version = "x"; });
	refused("count", [](Request &asked) { asked.count = 0; });
	refused("count", [](Request &asked) { asked.count = 1025; });
	refused("wait", [](Request &asked) { asked.wait = -1ms; });
	refused("wait", [](Request &asked) { asked.wait = 24h + 1ms; });
	refused("wait", [](Request &asked) { asked.wait = asked.wait.max(); });
	check_throws<Invalid>(LH_E_ARGUMENT, [] { Client("k4.public.x"); });
	check_throws<Invalid>(LH_E_ARGUMENT, [] { Client{ Options{} }; });
	Options given = options();

	given.socket_path = "/nonexistent/agent.sock";
	check_throws<leasehold::AgentUnreachableError>(LH_E_AGENT,
	    [&] { Client(given).checkout(request()); });
	/* RFC 8032, test 1: somebody's key, not this vendor's. */
	given = options();
	given.vendor_key =
	    "k4.public.11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
	check_throws<leasehold::BadSignatureError>(LH_E_BAD_SIGNATURE,
	    [&] { Client(given).checkout(request()); });
}

/* --- threads, forks ------------------------------------------------------- */

static void
threads()
{
	Client client(options());
	std::vector<std::thread> workers;
	std::atomic<int> held = 0, most = 0, taken = 0;
	auto end = std::chrono::steady_clock::now() + 2s;

	for (int i = 0; i < 20; i++)
		workers.emplace_back([&] {
			while (std::chrono::steady_clock::now() < end) {
				Seat seat = client.try_checkout(request());

				if (!seat)
					continue;
				int now = ++held;

				if (now > most)
					most = now;
				CHECK(seat.valid());
				taken++;
				held--;
			}
		});
	for (std::thread &worker : workers)
		worker.join();
	CHECK(taken > 10 && most <= 3);
}

static int
status_of(pid_t child)
{
	int status = 0;

	CHECK(waitpid(child, &status, 0) == child);
	return status;
}

static void
forks()
{
	Client client(options());
	Seat seat = client.checkout(request());

#ifdef __SANITIZE_ADDRESS__
	/* gcc 12's AddressSanitizer hangs in a child of fork() when another
	 * thread was in malloc(): let the library's come to rest. */
	std::this_thread::sleep_for(500ms);
#endif
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		CHECK(seat && !seat.valid() && seat.left() == 0s);
		check_throws<leasehold::InvalidArgumentError>(
		    LH_E_ARGUMENT, [&] { client.checkout(request()); }, "fork");
		{
			/* What was inherited may be let go of. */
			Seat mine = std::move(seat);
			Client theirs = std::move(client);
		}
		Client own(options());

		CHECK(own.checkout(request()).valid());
		_exit(0);
	}
	CHECK(status_of(child) == 0);
	CHECK(seat.valid());
	CHECK(client.checkout(request()).valid());
}

static void
manual()
{
	Options given = options();

	given.manual_beats = true;
	Client client(given);

	CHECK(client.beat_interval() == 0ms);
	Seat seat = client.checkout(request());

	CHECK(client.beat_interval() > 0ms && client.beat_interval() <= 60s);
	client.beat(5s);
	client.beat(std::chrono::hours(24 * 365));
	CHECK(seat.valid());
}

/* --- waits ---------------------------------------------------------------- */

static void
waits()
{
	Client client(options());
	Seat first = client.checkout(request("plain"));
	Request asked = request("plain");
	std::thread::id here = std::this_thread::get_id();
	int calls = 0;
	bool placed = false;

	asked.wait = 30s;
	asked.waiting = [&](std::uint32_t place, std::uint32_t length) {
		CHECK(std::this_thread::get_id() == here);
		placed = placed || (place == 1 && length == 1);
		if (++calls == 2)
			first.reset();
		return true;
	};
	Seat second = client.checkout(asked);

	CHECK(second.valid() && !first && calls >= 2 && placed);
	asked.waiting = [](std::uint32_t, std::uint32_t) { return false; };
	check_throws<leasehold::WaitCancelled>(LH_E_CANCELLED,
	    [&] { client.checkout(asked); });
	asked.waiting = [](std::uint32_t, std::uint32_t) -> bool {
		throw std::logic_error("as intended");
	};
	try {
		client.checkout(asked);
		fail(__LINE__, "nothing was thrown");
	} catch (const std::logic_error &error) {
		CHECK(std::string(error.what()) == "as intended");
	}
	/* Half a second is a wait too, and not none. */
	asked.waiting = nullptr;
	asked.wait = 500ms;
	auto began = std::chrono::steady_clock::now();

	CHECK(!client.try_checkout(asked));
	CHECK(std::chrono::steady_clock::now() - began > 400ms);
	second.reset();
	CHECK(client.checkout("plain", "8.1.0", 10s).valid());
}

/* --- losses --------------------------------------------------------------- */

static void
lost()
{
	std::mutex lock;
	std::vector<Loss> losses;
	std::vector<Seat> kept;
	std::atomic<std::size_t> heard = 0;
	Options given = options();

	given.lost = [&](const Loss &loss) {
		std::lock_guard<std::mutex> guard(lock);

		losses.push_back(loss);
		heard++;
	};
	std::optional<Client> client(given);
	Seat seat = client->checkout(request());

	say("release " + std::to_string(seat.id()));
	wait_for([&] { return heard == 1; });
	std::unique_lock<std::mutex> guard(lock);

	CHECK(!seat.valid() && losses[0].id == seat.id());
	CHECK(losses[0].count == 1 && losses[0].type == SeatType::commit);
	check_throws<leasehold::LeaseLostError>(
	    LH_E_GONE, [&] { losses[0].raise(); }, "admin");
	guard.unlock();
	/* The callback lives as long as a seat may be lost. */
	given.lost = nullptr;
	Seat other = client->checkout(request());

	client.reset();
	say("release " + std::to_string(other.id()));
	wait_for([&] { return heard == 2; });
}

/* Within the callback everything may be let go of, the last owner too. */
static void
lost_and_gone()
{
	std::atomic<bool> done = false;

	{
		Options given = options();
		auto seats = std::make_shared<std::vector<Seat>>();

		given.lost = [seats, &done](const Loss &) {
			seats->clear();
			done = true;
		};
		{
			Client client(given);

			for (int i = 0; i < 3; i++)
				seats->push_back(client.checkout(request()));
		}
		CHECK((*seats)[2].valid());
	}
	say("any");
	wait_for([&] { return done.load(); });
	/* The thread that ends the client ends too. */
	wait_for([] {
		std::filesystem::directory_iterator tasks("/proc/self/task");

		return std::distance(begin(tasks), end(tasks)) == 1;
	});
	say("free");
}

/* --------------------------------------------------------------------------- */

int
main(int argc, char **argv)
{
	static const std::map<std::string, void (*)()> cases = {
		{ "arguments", arguments },
		{ "container", container },
		{ "forks", forks },
		{ "lost", lost },
		{ "lost_and_gone", lost_and_gone },
		{ "manual", manual },
		{ "moved", moved },
		{ "outlives", outlives },
		{ "refusals", refusals },
		{ "scope", scope },
		{ "several", several },
		{ "threads", threads },
		{ "unwinding", unwinding },
		{ "waits", waits },
	};

	CHECK(argc == 2 && cases.count(argv[1]) == 1);
	cases.at(argv[1])();
	return 0;
}

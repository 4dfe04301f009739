/*
 * Hold a seat while a program works. Copy what you need.
 *
 *     hold VENDOR_KEY PRODUCT VERSION [WAIT_SECONDS]
 *
 * c++ -std=c++17 hold.cpp $(pkg-config --cflags --libs leasehold)
 *
 * In a real program the vendor's key is a constant: whoever can choose the key
 * chooses whom to believe.
 */
#include <leasehold.hpp>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <thread>

static void
work(const leasehold::Seat &seat)
{
	using namespace std::chrono;

	/* Look at the seat as often as you like: it is no system call. */
	for (int step = 0; step < 3 && seat.valid(); step++) {
		std::cout << "step " << step << ", "
			  << duration_cast<seconds>(seat.left()).count()
			  << " s left" << std::endl;
		std::this_thread::sleep_for(milliseconds(100));
	}
}

int
main(int argc, char **argv)
try {
	if (argc < 4) {
		std::cerr << "usage: hold VENDOR_KEY PRODUCT VERSION "
			     "[WAIT_SECONDS]\n";
		return 2;
	}
	leasehold::Client client(argv[1]);
	leasehold::Request request;

	request.product = argv[2];
	request.version = argv[3];
	request.wait = std::chrono::seconds(
	    argc > 4 ? std::strtol(argv[4], nullptr, 10) : 0);
	request.waiting = [](std::uint32_t place, std::uint32_t length) {
		if (place != 0)
			std::cout << "number " << place << " of " << length
				  << " in the queue" << std::endl;
		return true; /* go on */
	};
	leasehold::Seat seat = client.checkout(request);

	std::cout << "holding lease " << seat.id() << " ("
		  << (seat.type() == leasehold::SeatType::overage ? "overage"
								  : "commit")
		  << ")" << std::endl;
	work(seat);
	return 0; /* the seat goes back with its scope */
} catch (const leasehold::LicenseUnavailableError &error) {
	std::cerr << "no seat: " << error.what() << "\n";
	return 3;
} catch (const leasehold::Error &error) {
	std::cerr << "hold: " << error.what() << "\n";
	return 1;
}

/* Tables of the agent's socket: borrows. */
#include "shared/rpc/local.h"

#include "shared/rpc/tables.h"

static const struct record_field local_borrow_take_fields[] = {
	R_TEXT(local_borrow_take, product, 1, 63, 0, "The product's id."),
	R_TEXT(local_borrow_take, version, 1, 31, 0,
	    "A version that the license covers."),
	R_TEXT(local_borrow_take, feature, 0, 63, OPT, "Feature."),
	R_U32(local_borrow_take, count, 0, LEASE_COUNT_MAX, OPT,
	    "Seats, all or none; 0 is 1."),
	R_TEXT(local_borrow_take, user, 0, 63, OPT,
	    "Who it is for; absent: the user's login name."),
	R_U32(local_borrow_take, length_s, 1, LICENSE_BORROW_MAX_S, 0,
	    "For how long."),
	R_FIXED(local_borrow_take, request, 0, "Random; the same in a retry."),
};
RECORD_DEFINE(local_borrow_take, 1, "Seats to take along, please.");

static const struct record_field local_borrow_extend_fields[] = {
	R_U64(local_borrow_extend, lease, 1, U53_MAX, 0, "The borrow."),
	R_U32(local_borrow_extend, length_s, 1, LICENSE_BORROW_MAX_S, 0,
	    "For how long from now."),
};
RECORD_DEFINE(local_borrow_extend, 1, "For longer, please.");

static const struct record_field local_borrow_fields[] = {
	R_U64(local_borrow, lease, 1, U53_MAX, 0, "The borrow."),
	R_TEXT(local_borrow, product, 1, 63, 0, "The product's id."),
	R_TEXT(local_borrow, version, 0, 31, 0, "As it was asked for."),
	R_TEXT(local_borrow, feature, 0, 63, OPT, "Feature."),
	R_U32(local_borrow, count, 1, LEASE_COUNT_MAX, 0, "Seats."),
	R_U32(local_borrow, used, 0, UINT32_MAX, OPT,
	    "Of them, by applications on this workstation."),
	R_ENUM(local_borrow, type, seat_type_names, 0, "Commit or overage."),
	R_U32(local_borrow, uid, 0, UINT32_MAX, 0,
	    "Whose it is; 0: everybody's on this workstation."),
	R_TEXT(local_borrow, user, 0, 63, OPT, "Login name of the uid."),
	R_ENUM(local_borrow, state, borrow_state_names, 0,
	    "Lent; on its way back; or over without a proof."),
	R_TIME(local_borrow, taken_at, 0, "When its time began."),
	R_TIME(local_borrow, until, 0, "When it is over."),
	R_U32(local_borrow, length_s, 1, LICENSE_BORROW_MAX_S, 0,
	    "Seconds of powered-on time that it is good for."),
	R_U64(local_borrow, epoch, 1, U53_MAX, 0,
	    "Value of the device's counter that it is good at."),
};
RECORD_DEFINE(local_borrow, 1, "Seats that this workstation has borrowed.");

static const struct record_field local_borrows_fields[] = {
	R_LIST(local_borrows, items, &local_borrow_record, 0, BORROW_DEVICE_MAX,
	    0, "Borrows in the order of their numbers."),
};
RECORD_DEFINE(local_borrows, 1, "What this workstation has borrowed.");

static const struct record_field local_borrow_return_fields[] = {
	R_U64(local_borrow_return, lease, 0, U53_MAX, OPT, "The borrow."),
	R_BOOL(local_borrow_return, all, OPT,
	    "All of the asking user; root: of everybody."),
	R_BOOL(local_borrow_return, offline, OPT,
	    "Without the site, which hears of it later: all of the device's."),
};
RECORD_DEFINE(local_borrow_return, 1, "Borrowed seats go back.");

static const struct record_field local_borrow_returned_fields[] = {
	R_U32(local_borrow_returned, count, 0, UINT32_MAX, 0, "How many."),
	R_BOOL(local_borrow_returned, proved, 0,
	    "The site has the proof, and their seats are free."),
	R_STRUCT(local_borrow_returned, file, &borrow_file_record, OPT,
	    "Of an offline return: what the site is to be brought."),
};
RECORD_DEFINE(local_borrow_returned, 1, "Borrowed seats that went back.");

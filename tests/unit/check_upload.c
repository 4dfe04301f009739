/* A tenant's store on its way into a site: pieces in any order against what is
 * kept of them, and what bounds an uploader. The process is a true one. */
#include "appliance/ledger/upload.h"
#include "tests/unit/process_site.h"

#include "tests/unit/suite.h"

#include <dirent.h>

#define BYTES 3000
#define PIECE_MAX 700
#define STEPS 400

static int
ask(void *reply, enum operation_id op, const void *request)
{
	return admin_do(&world, reply, (uint16_t)op, request);
}

static void
make_tenant(const char *name)
{
	struct tenant_create request = { 0 };
	struct tenant_created reply;

	text_copy(request.tenantId, sizeof(request.tenantId), name);
	text_copy(request.partnerName, sizeof(request.partnerName), name);
	ck_assert_int_eq(ask(&reply, OP_TENANT_CREATE, &request), 0);
}

static int
begin(uint64_t *part, uint64_t bytes)
{
	struct restore_begin request = { .tenant = "one", .bytes = bytes };
	struct restore_place place = { 0 };

	text_copy(request.site, sizeof(request.site), world.site.site);
	int rc = ask(&place, OP_RESTORE_BEGIN, &request);

	if (rc == 0)
		ck_assert_uint_eq(place.offset, 0);
	*part = place.part;
	return rc;
}

static int
put(uint64_t *ends, uint64_t part, uint64_t offset, const uint8_t *data,
    uint32_t len)
{
	const struct restore_put request = { part, offset, { data, len } };
	struct restore_place place = { 0 };
	int rc = ask(&place, OP_RESTORE_PUT, &request);

	*ends = place.offset;
	return rc;
}

static int
drop(uint64_t part)
{
	const struct backup_ref request = { .part = part };
	struct empty reply;

	return ask(&reply, OP_RESTORE_DROP, &request);
}

static enum restore_state
look(uint64_t part, uint64_t offset)
{
	const struct backup_ref request = { .part = part };
	struct restore_view view;

	ck_assert_int_eq(ask(&view, OP_RESTORE_LOOK, &request), 0);
	ck_assert_uint_eq(view.offset, offset);
	ck_assert_uint_eq(view.bytes, BYTES);
	ck_assert_str_eq(view.tenant, "one");
	return view.state;
}

/* Names in the folder where spools are. */
static int
count_names(void)
{
	char path[160];
	const struct dirent *entry;
	int n = 0;

	snprintf(path, sizeof(path), "%s/system", world.state);
	DIR *dir = opendir(path);

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)) != NULL)
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

START_TEST(pieces_in_any_order_are_taken_where_they_fit)
{
	uint64_t part, ends, have = 0;
	uint8_t data[PIECE_MAX] = { 1 };
	uint32_t seed = (uint32_t)_i + 1;

	make_tenant("one");
	ck_assert_int_eq(begin(&part, BYTES), 0);
	for (int i = 0; i < STEPS; i++) {
		seed = seed * 1103515245 + 12345;
		uint64_t offset = (seed >> 8) % (BYTES + 200);
		uint32_t len = 1 + (seed >> 3) % PIECE_MAX;

		if (i % 8 == 0)
			offset = have; /* so that it comes to its end */
		int rc = put(&ends, part, offset, data, len);

		if (offset > have) {
			ck_assert_int_eq(rc, ERR_CONFLICT);
		} else if (offset + len > BYTES) {
			ck_assert_int_eq(rc, ERR_BAD_REQUEST);
		} else {
			ck_assert_int_eq(rc, 0);
			have = offset + len > have ? offset + len : have;
			ck_assert_uint_eq(ends, have);
		}
		ck_assert_int_eq(look(part, have), RESTORE_RECEIVING);
	}
	if (have < BYTES) {
		const struct restore_finish early = { part, "too early" };
		struct restore_view view;

		ck_assert_int_eq(ask(&view, OP_RESTORE_END, &early),
		    ERR_CONFLICT);
	}
	ck_assert_int_eq(drop(part), 0);
	ck_assert_int_eq(drop(part), ERR_NOT_FOUND);
}
END_TEST

START_TEST(an_uploader_has_one_place_and_no_more_than_the_disk)
{
	struct restore_begin other = { .tenant = "one", .bytes = 1 };
	struct restore_place place;
	uint64_t part, again, ends;
	uint8_t data[8] = { 0 };
	int names = count_names();

	make_tenant("one");
	ck_assert_int_eq(begin(&part, UINT64_C(1) << 50), ERR_FULL);
	text_copy(other.site, sizeof(other.site), "site-another");
	ck_assert_int_eq(ask(&place, OP_RESTORE_BEGIN, &other), ERR_CONFLICT);
	text_copy(other.site, sizeof(other.site), world.site.site);
	text_copy(other.tenant, sizeof(other.tenant), "nobody");
	ck_assert_int_eq(ask(&place, OP_RESTORE_BEGIN, &other), ERR_NOT_FOUND);
	text_copy(other.tenant, sizeof(other.tenant), "default");
	ck_assert_int_eq(ask(&place, OP_RESTORE_BEGIN, &other), ERR_FORBIDDEN);
	ck_assert_int_eq(begin(&part, BYTES), 0);
	ck_assert_int_eq(begin(&again, BYTES), ERR_BUSY);
	ck_assert_int_eq(put(&ends, part + 1, 0, data, 8), ERR_NOT_FOUND);
	ck_assert_int_eq(put(&ends, part, 0, data, 8), 0);
	/* A file without a name: nothing of it outlives the process. */
	ck_assert_int_eq(count_names(), names);
	process_stop(&world, SIGKILL);
	process_start(&world);
	process_await_ready(&world);
	ck_assert_int_eq(put(&ends, part, 8, data, 8), ERR_NOT_FOUND);
	ck_assert_int_eq(begin(&again, BYTES), 0);
	ck_assert_int_eq(count_names(), names);
}
END_TEST

START_TEST(what_is_no_store_is_refused_and_may_be_sent_anew)
{
	uint8_t data[PIECE_MAX] = { 0 };
	struct restore_view view;
	uint64_t part, ends, at = 0;

	make_tenant("one");
	ck_assert_int_eq(begin(&part, BYTES), 0);
	for (; at < BYTES; at = ends) {
		uint64_t left = BYTES - at;

		ck_assert_int_eq(put(&ends, part, at, data,
				     left < PIECE_MAX ? (uint32_t)left
						      : PIECE_MAX),
		    0);
	}
	for (int i = 0; i < 2; i++) {
		const struct restore_finish end = { part, "why" };

		ck_assert_int_eq(ask(&view, OP_RESTORE_END, &end), 0);
		while (view.state != RESTORE_FAILED) {
			ck_assert_int_ne(view.state, RESTORE_DONE);
			const struct backup_ref ref = { .part = part };

			ck_assert_int_eq(ask(&view, OP_RESTORE_LOOK, &ref), 0);
		}
		ck_assert_str_eq(view.failure.code, "bad_request");
	}
	ck_assert_int_eq(drop(part), 0);
	ck_assert_int_eq(begin(&part, BYTES), 0);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("upload");
	TCase *tc = tcase_create("upload");

	tcase_add_loop_test(tc, pieces_in_any_order_are_taken_where_they_fit, 0,
	    4);
	tcase_add_test(tc, an_uploader_has_one_place_and_no_more_than_the_disk);
	tcase_add_test(tc, what_is_no_store_is_refused_and_may_be_sent_anew);
	process_case_add(s, tc);
	return s;
}

/* A true ticket and its proof, and one lie a test: who notices, and what it is
 * called. */
#include "agent/lib/leasehold.h"
#include "agent/lib/verify.h"
#include "tests/unit/lib_ticket.h"

#define HOUR_MS INT64_C(3600000)
#define DAY_MS ((int64_t)TICKET_DAY_S * 1000)

static struct chain chain;
static struct chain_device device;
static struct local_checkout request;
static struct local_checkout_reply reply;
static struct verify_question question;
static struct verify_lease lease;
static struct verify_borrow borrow;
static int64_t wall_ms;
static char why[VERIFY_WHY];

static struct row_borrowed *
lent(void)
{
	return &chain.row.u.borrowed;
}

static void
prove(void)
{
	chain_ticket(&reply, &chain, &device, question.nonce);
}

static void
commit(void)
{
	chain_commit(&chain);
	prove();
}

static void
lend(uint32_t slot, uint32_t count)
{
	memset(&request, 0, sizeof(request));
	text_copy(request.product, sizeof(request.product), "tool");
	text_copy(request.version, sizeof(request.version), "8.1.0");
	request.count = count;
	question = (struct verify_question){ .count = 1 };
	memcpy(question.root, chain.root.public_key, 32);
	text_copy(question.product, sizeof(question.product), request.product);
	text_copy(question.version, sizeof(question.version), request.version);
	randombytes_buf(question.nonce, sizeof(question.nonce));
	chain_lend(&chain, &device, &request, slot, 2 * TICKET_DAY_S);
}

static void
open_with(uint32_t class_)
{
	chain_open(&chain);
	chain_may_lend(&chain);
	if (class_ == PROOF_SOFTWARE)
		chain_device_software(&device);
	else
		chain_device_tpm(&device, class_);
	wall_ms = chain.time;
	lend(0, 1);
	commit();
}

static void
setup(void)
{
	open_with(PROOF_TPM);
}

static void
teardown(void)
{
	chain_device_close(&device);
	chain_close(&chain);
}

static int
verify(void)
{
	int error =
	    verify_ticket(&lease, &borrow, &reply, &question, wall_ms, why);

	/* Whoever refuses says why. */
	ck_assert_int_eq(error != LH_OK, why[0] != '\0');
	return error;
}

/* The row is what it was, signed by the site: a lie of the site's. */
static int
after_site_wrote(void)
{
	commit();
	return verify();
}

/* --- what is true --------------------------------------------------------- */

START_TEST(true_ticket_is_accepted)
{
	ck_assert_int_eq(verify(), LH_OK);
	ck_assert_uint_eq(lease.lease, lent()->grant.lease);
	ck_assert_uint_eq(lease.count, 1);
	ck_assert_uint_eq(lease.ttl_s, TICKET_PROVE_S);
	ck_assert_uint_eq(lease.grace_s, 0);
	ck_assert_uint_eq(lease.type, SEAT_COMMIT);
	ck_assert_mem_eq(lease.head, chain.head, 32);
	ck_assert_uint_eq(borrow.device, CHAIN_DEVICE);
	ck_assert_int_eq(borrow.until, wall_ms + 2 * DAY_MS);
	ck_assert_int_eq(borrow.left_ms, 2 * DAY_MS);
	ck_assert_uint_eq(borrow.clock_ms, device.clock_ms);
	ck_assert_uint_eq(borrow.resets, device.resets);
	ck_assert_int_eq(verify_ticket_span_ms(&lease, &borrow), HOUR_MS);
	ck_assert(verify_is_ticket(&reply));
}
END_TEST

START_TEST(replacement_is_accepted_as_the_first_is)
{
	chain.row.kind = ROW_BORROW_REISSUED;
	lent()->ticket.why = TICKET_REPLACED;
	lent()->ticket.epoch = ++device.counter;
	chain.time += DAY_MS;
	wall_ms = chain.time;
	ck_assert_int_eq(after_site_wrote(), LH_OK);
	ck_assert_int_eq(borrow.left_ms, DAY_MS); /* of the wall clock's */
}
END_TEST

START_TEST(overage_may_be_borrowed_too)
{
	lend(4, 1);
	ck_assert_int_eq(after_site_wrote(), LH_OK);
	ck_assert_uint_eq(lease.type, SEAT_OVERAGE);
}
END_TEST

START_TEST(application_uses_some_of_the_borrowed_seats)
{
	lend(0, 4);
	question.count = 3;
	ck_assert_int_eq(after_site_wrote(), LH_OK);
	ck_assert_uint_eq(lease.count, 3);
	question.count = 4;
	ck_assert_int_eq(verify(), LH_OK);
	question.count = 5;
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
	ck_assert_ptr_nonnull(strstr(why, "number of seats"));
}
END_TEST

START_TEST(another_version_that_is_covered_may_use_it)
{
	text_copy(question.version, sizeof(question.version), "8.9");
	ck_assert_int_eq(verify(), LH_OK);
	text_copy(question.version, sizeof(question.version), "9.0");
	ck_assert_int_eq(verify(), LH_E_VERSION);
	ck_assert_ptr_nonnull(strstr(why, "9.0"));
}
END_TEST

START_TEST(feature_is_borrowed_with_its_own_seats)
{
	text_copy(request.feature, sizeof(request.feature), "autosar");
	chain_lend(&chain, &device, &request, 1, TICKET_DAY_S);
	ck_assert_int_eq(after_site_wrote(), LH_E_MISMATCH);
	text_copy(question.feature, sizeof(question.feature), "autosar");
	ck_assert_int_eq(after_site_wrote(), LH_OK);
	/* It has two seats and no overage. */
	chain_lend(&chain, &device, &request, 2, TICKET_DAY_S);
	ck_assert_int_eq(after_site_wrote(), LH_E_MISMATCH);
}
END_TEST

START_TEST(classes_that_the_license_lends_to_may_borrow)
{
	static const uint32_t classes[] = { PROOF_TPM, PROOF_VTPM,
		PROOF_SOFTWARE };
	struct license_class listed[] = { { PROOF_VTPM }, { PROOF_SOFTWARE } };

	for (size_t i = 0; i < 3; i++) {
		teardown();
		open_with(classes[i]);
		/* As it is: tpm alone. */
		ck_assert_int_eq(verify(), i == 0 ? LH_OK : LH_E_MISMATCH);
		chain.license.terms.borrow_classes =
		    (struct record_list){ listed, 2 };
		chain_sign(&chain);
		lend(0, 1);
		ck_assert_int_eq(after_site_wrote(),
		    i == 0 ? LH_E_MISMATCH : LH_OK);
		if (i == 0)
			ck_assert_ptr_nonnull(strstr(why, "class tpm"));
	}
}
END_TEST

/* --- the chain ------------------------------------------------------------ */

START_TEST(other_vendor_is_a_bad_signature)
{
	question.root[3] ^= 1;
	ck_assert_int_eq(verify(), LH_E_BAD_SIGNATURE);
}
END_TEST

START_TEST(other_sites_key_is_a_bad_signature)
{
	chain_new_keys(&chain.site_key);
	ck_assert_int_eq(after_site_wrote(), LH_E_BAD_SIGNATURE);
}
END_TEST

START_TEST(row_changed_is_not_in_the_journal)
{
	chain.row_bytes.data[20] ^= 1;
	prove(); /* the device proves the changed one */
	ck_assert_int_eq(verify(), LH_E_NOT_IN_JOURNAL);
	chain.row_bytes.data[20] ^= 1;
	prove();
	reply.row_number++;
	ck_assert_int_eq(verify(), LH_E_NOT_IN_JOURNAL);
	reply.row_number--;
	reply.path.len += 31; /* a path is of whole hashes */
	ck_assert_int_eq(verify(), LH_E_NOT_IN_JOURNAL);
}
END_TEST

START_TEST(grant_of_a_lease_is_no_ticket)
{
	chain_prepare(&chain, &request, 0);
	memcpy(chain.row.u.lease_granted.nonce, question.nonce, 32);
	ck_assert_int_eq(after_site_wrote(), LH_E_MISMATCH);
	ck_assert_ptr_nonnull(strstr(why, "lends nothing"));
}
END_TEST

START_TEST(ticket_is_no_grant_of_a_lease)
{
	memcpy(lent()->grant.nonce, question.nonce, 32);
	lent()->grant.ttl_s = 120;
	commit();
	ck_assert_int_eq(verify_grant(&lease, &reply, &question, why),
	    LH_E_MISMATCH);
}
END_TEST

START_TEST(other_questions_are_a_mismatch)
{
	text_copy(question.product, sizeof(question.product), "other");
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
	text_copy(question.product, sizeof(question.product), "tool");
	reply.lease++;
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
	reply.lease--;
	reply.device++;
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
	reply.device--;
	ck_assert_int_eq(verify(), LH_OK);
}
END_TEST

/* --- what the vendor allows ----------------------------------------------- */

START_TEST(license_that_lends_nothing_is_a_mismatch)
{
	chain.license.terms.no_borrow = true;
	chain_sign(&chain);
	lend(0, 1);
	ck_assert_int_eq(after_site_wrote(), LH_E_MISMATCH);
	ck_assert_ptr_nonnull(strstr(why, "lends no seat"));
}
END_TEST

START_TEST(other_license_is_a_mismatch)
{
	lent()->grant.license_digest[0] ^= 1;
	ck_assert_int_eq(after_site_wrote(), LH_E_MISMATCH);
}
END_TEST

START_TEST(borrow_longer_than_the_license_lends_is_a_mismatch)
{
	chain_lend(&chain, &device, &request, 0, 7 * TICKET_DAY_S);
	ck_assert_int_eq(after_site_wrote(), LH_OK);
	chain_lend(&chain, &device, &request, 0, 7 * TICKET_DAY_S + 1);
	ck_assert_int_eq(after_site_wrote(), LH_E_MISMATCH);
	ck_assert_ptr_nonnull(strstr(why, "at most"));
}
END_TEST

START_TEST(more_seats_than_the_license_lends_are_a_mismatch)
{
	chain.license.terms.borrow_seats = 2;
	chain_sign(&chain);
	lend(0, 2);
	ck_assert_int_eq(after_site_wrote(), LH_OK);
	lend(0, 3);
	ck_assert_int_eq(after_site_wrote(), LH_E_MISMATCH);
	ck_assert_ptr_nonnull(strstr(why, "lends 2 at most"));
}
END_TEST

START_TEST(slot_beyond_the_license_is_a_mismatch)
{
	lend(5, 1);
	ck_assert_int_eq(after_site_wrote(), LH_E_MISMATCH);
}
END_TEST

START_TEST(borrow_beyond_the_contract_is_a_mismatch)
{
	int32_t today = (int32_t)(chain.time / CHAIN_DAY_MS);

	/* Two days from now end on the day after tomorrow. */
	chain.license.contract.end_date = today + 2;
	chain_sign(&chain);
	lend(0, 1);
	ck_assert_int_eq(after_site_wrote(), LH_OK);
	chain.license.contract.end_date = today + 1;
	chain_sign(&chain);
	lend(0, 1);
	ck_assert_int_eq(after_site_wrote(), LH_E_MISMATCH);
	ck_assert_ptr_nonnull(strstr(why, "contract"));
	chain.license.terms.enforce = LICENSE_ADVISORY;
	chain_sign(&chain);
	lend(0, 1);
	ck_assert_int_eq(after_site_wrote(), LH_OK);
}
END_TEST

START_TEST(borrow_before_the_contract_is_expired)
{
	int32_t today = (int32_t)(chain.time / CHAIN_DAY_MS);

	chain.license.contract.start_date = today + 1;
	chain_sign(&chain);
	lend(0, 1);
	ck_assert_int_eq(after_site_wrote(), LH_E_EXPIRED);
}
END_TEST

/* --- what its parts say of each other ------------------------------------- */

START_TEST(ticket_that_is_not_sound_is_a_mismatch)
{
	lent()->ticket.until++;
	ck_assert_int_eq(after_site_wrote(), LH_E_MISMATCH);
	lent()->ticket.until--;
	lent()->grant.grace_s = 1;
	ck_assert_int_eq(after_site_wrote(), LH_E_MISMATCH);
	lent()->grant.grace_s = 0;
	lent()->grant.ttl_s = BORROW_PROVE_MAX_S + 1;
	ck_assert_int_eq(after_site_wrote(), LH_E_MISMATCH);
	lent()->grant.ttl_s = BORROW_PROVE_MAX_S;
	ck_assert_int_eq(after_site_wrote(), LH_OK);
}
END_TEST

START_TEST(ticket_from_after_its_batch_is_a_mismatch)
{
	lent()->ticket.from++;
	lent()->ticket.until++;
	ck_assert_int_eq(after_site_wrote(), LH_E_MISMATCH);
}
END_TEST

/* --- the proof ------------------------------------------------------------ */

START_TEST(another_devices_proof_is_a_bad_proof)
{
	struct chain_device other;

	chain_device_tpm(&other, PROOF_TPM);
	chain_ticket(&reply, &chain, &other, question.nonce);
	chain_device_close(&other);
	ck_assert_int_eq(verify(), LH_E_BAD_PROOF);
	ck_assert_ptr_nonnull(strstr(why, "device-7"));
}
END_TEST

START_TEST(replayed_proof_is_a_bad_proof)
{
	randombytes_buf(question.nonce, sizeof(question.nonce));
	ck_assert_int_eq(verify(), LH_E_BAD_PROOF);
	prove();
	ck_assert_int_eq(verify(), LH_OK);
}
END_TEST

static int
after_proving(const struct proof_subject *subject)
{
	chain_prove(&reply.proof, &device, subject);
	return verify();
}

START_TEST(proof_of_anything_else_is_a_bad_proof)
{
	static const enum proof_purpose others[] = { PROOF_LOGIN, PROOF_ENROLL,
		PROOF_RETURN };
	struct proof_subject subject, changed;

	chain_ticket_subject(&subject, &chain, question.nonce);
	ck_assert_int_eq(after_proving(&subject), LH_OK);
	for (size_t i = 0; i < 3; i++) {
		changed = subject;
		changed.purpose = others[i];
		ck_assert_int_eq(after_proving(&changed), LH_E_BAD_PROOF);
	}
	changed = subject;
	changed.site = "site-2";
	ck_assert_int_eq(after_proving(&changed), LH_E_BAD_PROOF);
	changed = subject;
	changed.tenant = "other";
	ck_assert_int_eq(after_proving(&changed), LH_E_BAD_PROOF);
	changed = subject;
	changed.device++;
	ck_assert_int_eq(after_proving(&changed), LH_E_BAD_PROOF);
	/* As a login's, over a TLS connection. */
	changed = subject;
	changed.exporter[0] = 1;
	ck_assert_int_eq(after_proving(&changed), LH_E_BAD_PROOF);
	/* Of another ticket. */
	changed = subject;
	changed.request_digest[31] ^= 1;
	ck_assert_int_eq(after_proving(&changed), LH_E_BAD_PROOF);
	memset(changed.request_digest, 0, sizeof(changed.request_digest));
	ck_assert_int_eq(after_proving(&changed), LH_E_BAD_PROOF);
}
END_TEST

START_TEST(proof_changed_is_a_bad_proof)
{
	struct proof was = reply.proof;

	reply.proof.counter++;
	ck_assert_int_eq(verify(), LH_E_BAD_PROOF);
	reply.proof = was;
	reply.proof.clock_ms--;
	ck_assert_int_eq(verify(), LH_E_BAD_PROOF);
	reply.proof = was;
	reply.proof.resets--;
	ck_assert_int_eq(verify(), LH_E_BAD_PROOF);
	reply.proof = was;
	reply.proof.signature[9] ^= 1;
	ck_assert_int_eq(verify(), LH_E_BAD_PROOF);
	reply.proof = (struct proof){ .class_ = PROOF_TPM, .counter = 5 };
	ck_assert_int_eq(verify(), LH_E_BAD_PROOF);
}
END_TEST

/* The license lends to TPMs, and the site wrote a software key down as one. */
START_TEST(proof_of_another_class_is_a_bad_proof)
{
	teardown();
	open_with(PROOF_SOFTWARE);
	device.class_ = PROOF_TPM;
	lend(0, 1);
	ck_assert_int_eq(after_site_wrote(), LH_E_BAD_PROOF);
}
END_TEST

/* --- what is left --------------------------------------------------------- */

START_TEST(counter_of_another_epoch_is_gone)
{
	device.counter++;
	prove();
	ck_assert_int_eq(verify(), LH_E_GONE);
	ck_assert_ptr_nonnull(strstr(why, "given back"));
	device.counter -= 2;
	prove();
	ck_assert_int_eq(verify(), LH_E_GONE);
}
END_TEST

START_TEST(time_that_is_used_up_is_gone)
{
	device.clock_ms += (uint64_t)(2 * DAY_MS - 1);
	prove();
	ck_assert_int_eq(verify(), LH_OK);
	ck_assert_int_eq(borrow.left_ms, 1);
	ck_assert_int_eq(verify_ticket_span_ms(&lease, &borrow), 1);
	device.clock_ms++;
	prove();
	ck_assert_int_eq(verify(), LH_E_GONE);
	ck_assert_ptr_nonnull(strstr(why, "are over"));
}
END_TEST

START_TEST(window_that_is_over_is_gone)
{
	wall_ms += 2 * DAY_MS - 1;
	ck_assert_int_eq(verify(), LH_OK);
	ck_assert_int_eq(borrow.left_ms, 1);
	wall_ms++;
	ck_assert_int_eq(verify(), LH_E_GONE);
}
END_TEST

START_TEST(wall_clock_before_the_borrow_is_a_clock_that_went_back)
{
	wall_ms -= TICKET_SLACK_MS;
	ck_assert_int_eq(verify(), LH_OK);
	wall_ms--;
	ck_assert_int_eq(verify(), LH_E_CLOCK);
	ck_assert_ptr_nonnull(strstr(why, "machine's clock"));
}
END_TEST

START_TEST(device_clock_that_went_back_ends_it)
{
	device.clock_ms--;
	prove();
	ck_assert_int_eq(verify(), LH_E_CLOCK);
	/* A reset explains it, and is charged. */
	device.resets++;
	prove();
	ck_assert_int_eq(verify(), LH_OK);
	ck_assert_int_eq(borrow.left_ms,
	    2 * DAY_MS + 1 - (int64_t)TICKET_RESET_MS);
}
END_TEST

START_TEST(fewer_resets_end_it)
{
	device.resets--;
	prove();
	ck_assert_int_eq(verify(), LH_E_CLOCK);
	ck_assert_ptr_nonnull(strstr(why, "cleared"));
}
END_TEST

/* --- again ---------------------------------------------------------------- */

static struct verify_lease first_lease;
static struct verify_borrow first;

static int
goes_on(void)
{
	why[0] = '\0';
	int error =
	    verify_ticket_goes_on(&lease, &borrow, &first_lease, &first, why);

	ck_assert_int_eq(error != LH_OK, why[0] != '\0');
	return error;
}

START_TEST(next_proof_goes_on_from_the_last)
{
	device.clock_ms += 5000;
	prove();
	ck_assert_int_eq(verify(), LH_OK);
	first_lease = lease;
	first = borrow;
	ck_assert_int_eq(goes_on(), LH_OK);
	/* Still after the ticket's beginning, and yet back. */
	device.clock_ms--;
	prove();
	ck_assert_int_eq(verify(), LH_OK);
	ck_assert_int_eq(goes_on(), LH_E_CLOCK);
	device.resets++;
	prove();
	ck_assert_int_eq(verify(), LH_OK);
	ck_assert_int_eq(goes_on(), LH_OK);
	first = borrow;
	device.resets--;
	device.clock_ms += 100000;
	prove();
	ck_assert_int_eq(verify(), LH_OK);
	ck_assert_int_eq(goes_on(), LH_E_CLOCK);
}
END_TEST

START_TEST(next_ticket_is_of_the_same_borrow)
{
	ck_assert_int_eq(verify(), LH_OK);
	first_lease = lease;
	first = borrow;
	lease.lease++;
	ck_assert_int_eq(goes_on(), LH_E_MISMATCH);
	lease.lease--;
	borrow.device++;
	ck_assert_int_eq(goes_on(), LH_E_MISMATCH);
	borrow.device--;
	lease.type ^= 1;
	ck_assert_int_eq(goes_on(), LH_E_MISMATCH);
	lease.type ^= 1;
	lease.header.site[0] ^= 1;
	ck_assert_int_eq(goes_on(), LH_E_MISMATCH);
	lease.header.site[0] ^= 1;
	lease.header.tenant[0] ^= 1;
	ck_assert_int_eq(goes_on(), LH_E_MISMATCH);
	lease.header.tenant[0] ^= 1;
	ck_assert_int_eq(goes_on(), LH_OK);
}
END_TEST

static void
add_chain_tests(TCase *tc)
{
	tcase_add_test(tc, other_vendor_is_a_bad_signature);
	tcase_add_test(tc, other_sites_key_is_a_bad_signature);
	tcase_add_test(tc, row_changed_is_not_in_the_journal);
	tcase_add_test(tc, grant_of_a_lease_is_no_ticket);
	tcase_add_test(tc, ticket_is_no_grant_of_a_lease);
	tcase_add_test(tc, other_questions_are_a_mismatch);
	tcase_add_test(tc, license_that_lends_nothing_is_a_mismatch);
	tcase_add_test(tc, other_license_is_a_mismatch);
	tcase_add_test(tc, borrow_longer_than_the_license_lends_is_a_mismatch);
	tcase_add_test(tc, more_seats_than_the_license_lends_are_a_mismatch);
	tcase_add_test(tc, slot_beyond_the_license_is_a_mismatch);
	tcase_add_test(tc, borrow_beyond_the_contract_is_a_mismatch);
	tcase_add_test(tc, borrow_before_the_contract_is_expired);
	tcase_add_test(tc, ticket_that_is_not_sound_is_a_mismatch);
	tcase_add_test(tc, ticket_from_after_its_batch_is_a_mismatch);
}

static void
add_proof_tests(TCase *tc)
{
	tcase_add_test(tc, another_devices_proof_is_a_bad_proof);
	tcase_add_test(tc, replayed_proof_is_a_bad_proof);
	tcase_add_test(tc, proof_of_anything_else_is_a_bad_proof);
	tcase_add_test(tc, proof_changed_is_a_bad_proof);
	tcase_add_test(tc, proof_of_another_class_is_a_bad_proof);
	tcase_add_test(tc, counter_of_another_epoch_is_gone);
	tcase_add_test(tc, time_that_is_used_up_is_gone);
	tcase_add_test(tc, window_that_is_over_is_gone);
	tcase_add_test(tc,
	    wall_clock_before_the_borrow_is_a_clock_that_went_back);
	tcase_add_test(tc, device_clock_that_went_back_ends_it);
	tcase_add_test(tc, fewer_resets_end_it);
	tcase_add_test(tc, next_proof_goes_on_from_the_last);
	tcase_add_test(tc, next_ticket_is_of_the_same_borrow);
}

Suite *
suite(void)
{
	Suite *s = suite_create("lib ticket");
	TCase *tc = tcase_create("lib ticket");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, true_ticket_is_accepted);
	tcase_add_test(tc, replacement_is_accepted_as_the_first_is);
	tcase_add_test(tc, overage_may_be_borrowed_too);
	tcase_add_test(tc, application_uses_some_of_the_borrowed_seats);
	tcase_add_test(tc, another_version_that_is_covered_may_use_it);
	tcase_add_test(tc, feature_is_borrowed_with_its_own_seats);
	tcase_add_test(tc, classes_that_the_license_lends_to_may_borrow);
	add_chain_tests(tc);
	add_proof_tests(tc);
	suite_add_tcase(s, tc);
	return s;
}

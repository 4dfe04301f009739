/* One true answer, and one lie a test: who notices, and what it is called. */
#include "tests/unit/lib_question.h"

START_TEST(true_answer_is_accepted)
{
	ck_assert_int_eq(verify(), LH_OK);
	ck_assert_uint_eq(lease.lease, granted()->lease);
	ck_assert_uint_eq(lease.type, SEAT_COMMIT);
	ck_assert_uint_eq(lease.slot, 0);
	ck_assert_uint_eq(lease.ttl_s, 120);
	ck_assert_uint_eq(lease.grace_s, 300);
	ck_assert_mem_eq(lease.head, chain.head, 32);
	ck_assert_mem_eq(lease.site_key, chain.site_key.public_key, 32);
}
END_TEST

START_TEST(true_overage_is_accepted)
{
	grant(4);
	ck_assert_int_eq(verify(), LH_OK);
	ck_assert_uint_eq(lease.type, SEAT_OVERAGE);
}
END_TEST

START_TEST(other_vendor_root_is_a_bad_signature)
{
	struct chain_keys other;

	chain_new_keys(&other);
	memcpy(question.root, other.public_key, 32);
	ck_assert_int_eq(verify(), LH_E_BAD_SIGNATURE);
	ck_assert_ptr_nonnull(strstr(why, "does not come from the vendor"));
}
END_TEST

START_TEST(issuer_signed_by_a_stranger_is_a_bad_signature)
{
	uint8_t mine[32];

	memcpy(mine, question.root, 32);
	chain_new_keys(&chain.root); /* a forger's own chain, true in itself */
	chain_sign(&chain);
	chain_prepare(&chain, &request, 0);
	commit_again();
	memcpy(question.root, mine, 32);
	ck_assert_int_eq(verify(), LH_E_BAD_SIGNATURE);
}
END_TEST

START_TEST(license_altered_in_any_part_is_a_bad_signature)
{
	/* A base64url character to another, here and there. */
	for (size_t i = 12; i < chain.license_token.len; i += 37) {
		char *text = (char *)chain.license_token.data;
		char was = text[i];

		if (was == '.')
			continue;
		text[i] = was == 'A' ? 'B' : 'A';
		ck_assert_int_eq(verify(), LH_E_BAD_SIGNATURE);
		text[i] = was;
	}
	ck_assert_int_eq(verify(), LH_OK);
}
END_TEST

START_TEST(license_from_before_its_issuer_is_a_bad_signature)
{
	chain.license.issued_at = chain.issuer.not_before - 1;
	chain_sign(&chain);
	chain_prepare(&chain, &request, 0);
	commit_again();
	ck_assert_int_eq(verify(), LH_E_BAD_SIGNATURE);
}
END_TEST

START_TEST(issuer_and_license_that_are_no_tokens_are_a_bad_signature)
{
	static const char *const texts[] = { "", "v4.public.", "x",
		"v4.local.AAAA", "v4.public.AAAA.AAAA" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct record_span was = reply.issuer;

		reply.issuer = (struct record_span){ texts[i],
			(uint32_t)strlen(texts[i]) };
		ck_assert_int_eq(verify(), LH_E_BAD_SIGNATURE);
		reply.issuer = was;
		was = reply.license;
		reply.license = (struct record_span){ texts[i],
			(uint32_t)strlen(texts[i]) };
		ck_assert_int_eq(verify(), LH_E_BAD_SIGNATURE);
		reply.license = was;
	}
}
END_TEST

START_TEST(header_signed_by_another_site_is_a_bad_signature)
{
	chain_new_keys(&chain.site_key);
	commit_again();
	ck_assert_int_eq(verify(), LH_E_BAD_SIGNATURE);
}
END_TEST

START_TEST(header_altered_is_a_bad_signature)
{
	chain.header_token.data[40] ^= 1;
	ck_assert_int_eq(verify(), LH_E_BAD_SIGNATURE);
}
END_TEST

START_TEST(beat_does_not_pass_for_a_header)
{
	struct buf token = { 0 };
	uint8_t path[8][32];
	size_t hashes;

	chain_beat(&token, path, &hashes, &chain, &granted()->lease,
	    &granted()->nonce, 120, 1, 0);
	reply.header = (struct record_span){ token.data, (uint32_t)token.len };
	ck_assert_int_eq(verify(), LH_E_BAD_SIGNATURE);
	buf_release(&token);
}
END_TEST

START_TEST(journal_of_another_site_of_the_same_key_is_a_mismatch)
{
	struct license was = chain.license;

	text_copy(chain.license.site, sizeof(chain.license.site), "site-2");
	commit_again();
	chain.license = was;
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
}
END_TEST

START_TEST(journal_of_another_tenant_of_the_same_site_is_a_mismatch)
{
	struct license was = chain.license;

	text_copy(chain.license.tenant, sizeof(chain.license.tenant), "other");
	commit_again();
	chain.license = was;
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
}
END_TEST

START_TEST(row_altered_is_not_in_the_journal)
{
	for (size_t i = 0; i < chain.row_bytes.len; i++) {
		chain.row_bytes.data[i] ^= 1;
		ck_assert_int_eq(verify(), LH_E_NOT_IN_JOURNAL);
		chain.row_bytes.data[i] ^= 1;
	}
}
END_TEST

START_TEST(path_altered_is_not_in_the_journal)
{
	chain.path[1][5] ^= 1;
	ck_assert_int_eq(verify(), LH_E_NOT_IN_JOURNAL);
}
END_TEST

START_TEST(path_of_another_length_is_not_in_the_journal)
{
	static uint8_t longer[4096];
	uint32_t whole = reply.path.len;

	reply.path.len = whole - 32;
	ck_assert_int_eq(verify(), LH_E_NOT_IN_JOURNAL);
	reply.path.len = whole - 1;
	ck_assert_int_eq(verify(), LH_E_NOT_IN_JOURNAL);
	reply.path.len = 0;
	ck_assert_int_eq(verify(), LH_E_NOT_IN_JOURNAL);
	memcpy(longer, chain.path, whole);
	reply.path = (struct record_span){ longer, whole + 32 };
	ck_assert_int_eq(verify(), LH_E_NOT_IN_JOURNAL);
	reply.path.len = sizeof(longer);
	ck_assert_int_eq(verify(), LH_E_NOT_IN_JOURNAL);
}
END_TEST

START_TEST(row_under_another_number_is_not_in_the_journal)
{
	static const int64_t off[] = { -1, 1, 4, -1000, 1000000 };

	for (size_t i = 0; i < sizeof(off) / sizeof(off[0]); i++) {
		reply.row_number = chain.row.number + (uint64_t)off[i];
		ck_assert_int_eq(verify(), LH_E_NOT_IN_JOURNAL);
	}
}
END_TEST

START_TEST(row_of_another_batch_is_not_in_the_journal)
{
	struct buf row = { 0 };

	buf_add(&row, chain.row_bytes.data, chain.row_bytes.len);
	commit_again();
	reply.row = (struct record_span){ row.data, (uint32_t)row.len };
	reply.row_number -= CHAIN_ROWS;
	ck_assert_int_eq(verify(), LH_E_NOT_IN_JOURNAL);
	buf_release(&row);
}
END_TEST

START_TEST(row_in_no_journal_is_not_in_the_journal)
{
	struct buf row = { 0 };

	/* A lease that a cheating site wrote down nowhere. */
	chain.slots[0].first = 1;
	row_write(&row, &chain.row);
	reply.row = (struct record_span){ row.data, (uint32_t)row.len };
	ck_assert_int_eq(verify(), LH_E_NOT_IN_JOURNAL);
	buf_release(&row);
}
END_TEST

START_TEST(answer_to_another_nonce_is_a_mismatch)
{
	question.nonce[31] ^= 1;
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
}
END_TEST

START_TEST(lease_of_another_product_is_a_mismatch)
{
	text_copy(granted()->product, sizeof(granted()->product), "tool-2");
	commit_again();
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
}
END_TEST

START_TEST(license_of_another_product_is_a_mismatch)
{
	text_copy(question.product, sizeof(question.product), "tool-2");
	text_copy(granted()->product, sizeof(granted()->product), "tool-2");
	commit_again();
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
}
END_TEST

START_TEST(lease_of_another_version_is_a_mismatch)
{
	text_copy(granted()->version, sizeof(granted()->version), "8.2.0");
	commit_again();
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
}
END_TEST

START_TEST(lease_of_another_feature_is_a_mismatch)
{
	text_copy(granted()->feature, sizeof(granted()->feature), "simulation");
	commit_again();
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
}
END_TEST

START_TEST(lease_of_more_seats_is_a_mismatch)
{
	question.count = 2;
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
}
END_TEST

START_TEST(lease_of_another_device_is_a_mismatch)
{
	reply.device = CHAIN_DEVICE + 1;
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
}
END_TEST

START_TEST(lease_under_another_number_is_a_mismatch)
{
	reply.lease++;
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
}
END_TEST

START_TEST(lease_under_another_license_is_a_mismatch)
{
	/* As true a license of the same vendor for the same site. */
	chain.license.serial = 2;
	chain_sign(&chain);
	chain_reply(&reply, &chain, &nothing);
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
}
END_TEST

START_TEST(row_that_grants_nothing_is_a_mismatch)
{
	chain.row.kind = ROW_CHECKPOINT;
	commit_again();
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
	ck_assert_ptr_nonnull(strstr(why, "grants no lease"));
}
END_TEST

START_TEST(row_that_is_no_row_is_an_error_of_the_protocol)
{
	static const char *const raw[] = { "", "x", "\x7f\x7f\x91\x01",
		"\x01\x08 no MessagePack" };

	for (size_t i = 0; i < sizeof(raw) / sizeof(raw[0]); i++) {
		chain.raw = raw[i];
		commit_again();
		ck_assert_int_eq(verify(), LH_E_PROTOCOL);
	}
}
END_TEST

START_TEST(true_lease_of_a_product_not_asked_for_is_a_mismatch)
{
	/* License and row agree with each other, and not with the question. */
	text_copy(chain.license.product.id, sizeof(chain.license.product.id),
	    "tool-2");
	chain_sign(&chain);
	chain_prepare(&chain, &request, 0);
	text_copy(granted()->product, sizeof(granted()->product), "tool-2");
	commit_again();
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
}
END_TEST

START_TEST(version_outside_the_range_is_not_covered)
{
	text_copy(question.version, sizeof(question.version), "9.0.0");
	text_copy(granted()->version, sizeof(granted()->version), "9.0.0");
	commit_again();
	ck_assert_int_eq(verify(), LH_E_VERSION);
}
END_TEST

START_TEST(contract_over_at_header_time_is_expired)
{
	chain.time =
	    ((int64_t)chain.license.contract.end_date + 1) * CHAIN_DAY_MS;
	commit_again();
	ck_assert_int_eq(verify(), LH_E_EXPIRED);
	/* The last millisecond of the last day still counts. */
	chain.time--;
	commit_again();
	ck_assert_int_eq(verify(), LH_OK);
}
END_TEST

START_TEST(contract_not_begun_at_header_time_is_expired)
{
	chain.time =
	    (int64_t)chain.license.contract.start_date * CHAIN_DAY_MS - 1;
	commit_again();
	ck_assert_int_eq(verify(), LH_E_EXPIRED);
}
END_TEST

/* Slot 0, granted as what it is after the contract: overage. */
static void
grant_after_contract(uint32_t enforce, uint32_t grace_days, int64_t late_ms)
{
	chain.license.terms.enforce = enforce;
	chain.license.terms.grace_days = grace_days;
	chain_sign(&chain);
	chain.time = license_contract_end(&chain.license) + late_ms;
	chain_prepare(&chain, &request, 0);
	granted()->type = SEAT_OVERAGE;
	granted()->overage = granted()->overage_count = 1;
	commit_again();
}

START_TEST(advisory_license_outlives_its_contract_as_overage)
{
	grant_after_contract(LICENSE_ADVISORY, 0, 0);
	ck_assert_int_eq(verify(), LH_OK);
	ck_assert_uint_eq(lease.type, SEAT_OVERAGE);
	grant_after_contract(LICENSE_ADVISORY, 0, 3000 * CHAIN_DAY_MS);
	ck_assert_int_eq(verify(), LH_OK);
	/* What nobody is billed for is not what the vendor allows. */
	granted()->type = SEAT_COMMIT;
	granted()->overage = granted()->overage_count = 0;
	commit_again();
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
	/* Nor may it be called overage while the contract runs. */
	grant_after_contract(LICENSE_ADVISORY, 0, -1);
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
	ck_assert_ptr_nonnull(strstr(why, "are called overage"));
}
END_TEST

START_TEST(license_with_grace_outlives_its_contract_by_its_days)
{
	grant_after_contract(LICENSE_GRACE, 2, 2 * CHAIN_DAY_MS - 1);
	ck_assert_int_eq(verify(), LH_OK);
	ck_assert_uint_eq(lease.type, SEAT_OVERAGE);
	grant_after_contract(LICENSE_GRACE, 2, 2 * CHAIN_DAY_MS);
	ck_assert_int_eq(verify(), LH_E_EXPIRED);
	ck_assert_ptr_nonnull(strstr(why, "the 2 days after it"));
	grant_after_contract(LICENSE_HARD, 0, 0);
	ck_assert_int_eq(verify(), LH_E_EXPIRED);
}
END_TEST

START_TEST(license_with_grace_grants_no_more_than_its_seats)
{
	grant_after_contract(LICENSE_GRACE, 2, 0);
	chain.slots[0].first = 4;
	commit_again();
	ck_assert_int_eq(verify(), LH_OK);
	chain.slots[0].first = 5;
	commit_again();
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
	ck_assert_ptr_nonnull(strstr(why, "beyond the 5 seats"));
}
END_TEST

START_TEST(overage_called_commit_is_a_mismatch)
{
	grant(2);
	granted()->type = SEAT_COMMIT;
	commit_again();
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
	/* Nor without its number. */
	granted()->type = SEAT_OVERAGE;
	granted()->overage = 0;
	commit_again();
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
}
END_TEST

START_TEST(commit_called_overage_is_a_mismatch)
{
	granted()->type = SEAT_OVERAGE;
	commit_again();
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
	granted()->type = SEAT_COMMIT;
	granted()->overage = 1;
	commit_again();
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
}
END_TEST

START_TEST(slot_beyond_the_license_is_a_mismatch)
{
	grant(5);
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
}
END_TEST

START_TEST(advisory_license_grants_beyond_its_seats_as_overage)
{
	chain.license.terms.enforce = LICENSE_ADVISORY;
	chain_sign(&chain);
	grant(5);
	ck_assert_int_eq(verify(), LH_OK);
	ck_assert_uint_eq(lease.type, SEAT_OVERAGE);
	grant(LICENSE_ADVISORY_SEATS - 1);
	ck_assert_int_eq(verify(), LH_OK);
	/* It has a bound of its own. */
	grant(LICENSE_ADVISORY_SEATS);
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
}
END_TEST

START_TEST(license_with_grace_is_hard_while_its_contract_runs)
{
	chain.license.terms.enforce = LICENSE_GRACE;
	chain.license.terms.grace_days = 30;
	chain_sign(&chain);
	grant(4);
	ck_assert_int_eq(verify(), LH_OK);
	grant(5);
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
}
END_TEST

START_TEST(span_above_the_terms_is_a_mismatch)
{
	granted()->ttl_s = chain.license.terms.ttl_s + 1;
	commit_again();
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
	granted()->ttl_s = chain.license.terms.ttl_s;
	granted()->grace_s = chain.license.terms.grace_s + 1;
	commit_again();
	ck_assert_int_eq(verify(), LH_E_MISMATCH);
	/* A site may sign less. */
	granted()->ttl_s = 1;
	granted()->grace_s = 0;
	commit_again();
	ck_assert_int_eq(verify(), LH_OK);
	ck_assert_uint_eq(lease.ttl_s, 1);
}
END_TEST

static void
add_grant_tests(TCase *tc)
{
	tcase_add_test(tc, true_answer_is_accepted);
	tcase_add_test(tc, true_overage_is_accepted);
	tcase_add_test(tc, other_vendor_root_is_a_bad_signature);
	tcase_add_test(tc, issuer_signed_by_a_stranger_is_a_bad_signature);
	tcase_add_test(tc, license_altered_in_any_part_is_a_bad_signature);
	tcase_add_test(tc, license_from_before_its_issuer_is_a_bad_signature);
	tcase_add_test(tc,
	    issuer_and_license_that_are_no_tokens_are_a_bad_signature);
	tcase_add_test(tc, header_signed_by_another_site_is_a_bad_signature);
	tcase_add_test(tc, header_altered_is_a_bad_signature);
	tcase_add_test(tc, beat_does_not_pass_for_a_header);
	tcase_add_test(tc,
	    journal_of_another_site_of_the_same_key_is_a_mismatch);
	tcase_add_test(tc,
	    journal_of_another_tenant_of_the_same_site_is_a_mismatch);
	tcase_add_test(tc, row_altered_is_not_in_the_journal);
	tcase_add_test(tc, path_altered_is_not_in_the_journal);
	tcase_add_test(tc, path_of_another_length_is_not_in_the_journal);
	tcase_add_test(tc, row_under_another_number_is_not_in_the_journal);
	tcase_add_test(tc, row_of_another_batch_is_not_in_the_journal);
	tcase_add_test(tc, row_in_no_journal_is_not_in_the_journal);
	tcase_add_test(tc, answer_to_another_nonce_is_a_mismatch);
	tcase_add_test(tc, lease_of_another_product_is_a_mismatch);
	tcase_add_test(tc, license_of_another_product_is_a_mismatch);
	tcase_add_test(tc, lease_of_another_version_is_a_mismatch);
	tcase_add_test(tc, lease_of_another_feature_is_a_mismatch);
	tcase_add_test(tc, lease_of_more_seats_is_a_mismatch);
	tcase_add_test(tc, lease_of_another_device_is_a_mismatch);
	tcase_add_test(tc, lease_under_another_number_is_a_mismatch);
	tcase_add_test(tc, lease_under_another_license_is_a_mismatch);
	tcase_add_test(tc, row_that_grants_nothing_is_a_mismatch);
	tcase_add_test(tc, row_that_is_no_row_is_an_error_of_the_protocol);
	tcase_add_test(tc, true_lease_of_a_product_not_asked_for_is_a_mismatch);
	tcase_add_test(tc, version_outside_the_range_is_not_covered);
	tcase_add_test(tc, contract_over_at_header_time_is_expired);
	tcase_add_test(tc, contract_not_begun_at_header_time_is_expired);
	tcase_add_test(tc, advisory_license_outlives_its_contract_as_overage);
	tcase_add_test(tc,
	    license_with_grace_outlives_its_contract_by_its_days);
	tcase_add_test(tc, license_with_grace_grants_no_more_than_its_seats);
	tcase_add_test(tc, license_with_grace_is_hard_while_its_contract_runs);
	tcase_add_test(tc, overage_called_commit_is_a_mismatch);
	tcase_add_test(tc, commit_called_overage_is_a_mismatch);
	tcase_add_test(tc, slot_beyond_the_license_is_a_mismatch);
	tcase_add_test(tc, advisory_license_grants_beyond_its_seats_as_overage);
	tcase_add_test(tc, span_above_the_terms_is_a_mismatch);
}

Suite *
suite(void)
{
	Suite *s = suite_create("lib verify");
	TCase *tc = tcase_create("lib grant");

	tcase_add_checked_fixture(tc, setup, teardown);
	add_grant_tests(tc);
	suite_add_tcase(s, tc);
	return s;
}

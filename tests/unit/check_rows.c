/* Rows: each kind is read as it was written, in one way only. */
#include "shared/base/err.h"
#include "shared/proof/proof.h"
#include "tests/unit/journal_maker.h"
#include "tests/unit/suite.h"

static void
fill(void *out, size_t len, uint8_t byte)
{
	memset(out, byte, len);
}

static void
fill_license(struct license *l)
{
	static struct license_feature features[] = {
		{ "autosar", "AUTOSAR", 7, 3, 4, 12050, "EUR" },
		{ "calibration", "", 2, 2, 0, 0, "EUR" },
	};

	text_copy(l->license_id, sizeof(l->license_id),
	    "lic-vector-test-2026-001");
	l->serial = 3;
	text_copy(l->vendor.id, sizeof(l->vendor.id), "vector");
	text_copy(l->vendor.name, sizeof(l->vendor.name), "Vector Informatik");
	text_copy(l->site, sizeof(l->site), "site-test");
	text_copy(l->tenant, sizeof(l->tenant), "default");
	fill(l->site_key, 32, 0xa1);
	text_copy(l->product.id, sizeof(l->product.id), "davinci");
	text_copy(l->product.name, sizeof(l->product.name),
	    "DaVinci \xe2\x82\xac");
	text_copy(l->product.version, sizeof(l->product.version), ">=8.0.0 <9");
	l->entitlement.total_licenses = 20;
	l->entitlement.commit_qty = 5;
	l->entitlement.max_overage = 15;
	l->entitlement.pricing.commit_fee_monthly = 500000;
	l->entitlement.pricing.overage_per_use = 50000;
	text_copy(l->entitlement.pricing.currency,
	    sizeof(l->entitlement.pricing.currency), "EUR");
	l->features = (struct record_list){ features, 2 };
	l->contract.start_date = 20454;
	l->contract.end_date = 20818;
	l->contract.auto_renew = true;
	l->contract.billing_cycle = LICENSE_ANNUAL;
	l->terms.ttl_s = 120;
	l->terms.grace_s = 0;
	l->terms.enforce = LICENSE_GRACE;
	l->issued_at = MAKER_TIME;
}

static void
fill_installed(struct row *row)
{
	struct row_license_installed *r = &row->u.license_installed;

	r->license = 2;
	fill(r->digest, 32, 0xb2);
	fill_license(&r->document);
	r->issuer_token = (struct record_span){ "v4.public.abc", 13 };
	r->license_token = (struct record_span){ "v4.public.defg", 14 };
	r->by = (struct row_actor){ ACTOR_ADMIN, 7 };
}

static void
fill_granted(struct row *row)
{
	static struct row_slots slots[] = { { 4, 3 }, { 13, 1 } };
	struct row_lease_granted *r;

	*row = maker_grant(1042, 2, 9);
	r = &row->u.lease_granted;
	fill(r->license_digest, 32, 0xb2);
	r->count = 4;
	r->slots = (struct record_list){ slots, 2 };
	r->overage_count = 2;
	fill(r->nonce, 32, 0xc3);
	fill(r->request, 16, 0xd4);
	fill(r->request_digest, 16, 0xe5);
	text_copy(r->feature, sizeof(r->feature), "calibration");
	fill(r->user, 16, 1);
	fill(r->host, 16, 2);
	fill(r->application, 32, 3);
}

/* What a lost branch granted, as that row stood there. */
static void
fill_adopted(struct row *row)
{
	static uint8_t bytes[1024];
	static struct row_slots slots[1] = { { 40, 4 } };
	struct row_lease_adopted *r = &row->u.lease_adopted;
	struct row granted = { .kind = ROW_LEASE_GRANTED };
	struct buf out = { 0 };

	fill_granted(&granted);
	row_write(&out, &granted);
	ck_assert(!out.failed && out.len <= sizeof(bytes));
	memcpy(bytes, out.data, out.len);
	*r = (struct row_lease_adopted){
		.lease = granted.u.lease_granted.lease,
		.license = 3,
		.device = granted.u.lease_granted.device,
		.count = granted.u.lease_granted.count,
		.slots = { slots, 1 },
		.type = granted.u.lease_granted.type,
		.overage = granted.u.lease_granted.overage != 0 ? 9 : 0,
		.overage_count = granted.u.lease_granted.overage_count,
		.origin = { 1, 150, { 7 }, 4000 },
		.row = { bytes, (uint32_t)out.len },
	};
	slots[0].count = r->count;
	buf_release(&out);
}

static void
fill_borrowed(struct row *row, enum row_kind kind)
{
	static const uint8_t key[101] = { 1, 2, 3 };
	struct row_ticket *ticket = &row->u.borrowed.ticket;

	fill_granted(row);
	/* They lie in one place. */
	struct row_lease_granted grant = row->u.lease_granted;

	row->kind = kind;
	row->u.borrowed.grant = grant;
	*ticket = (struct row_ticket){
		.why = TICKET_REPLACED,
		.epoch = 41,
		.class_ = PROOF_TPM,
		.public_key = { key, sizeof(key) },
		.length_s = 604800,
		.clock_ms = 123456789,
		.resets = 7,
		.from = MAKER_TIME,
		.until = MAKER_TIME + 604800000,
	};
}

static void
fill_borrow_ended(struct row *row)
{
	static struct row_slots slots[] = { { 20, 3 } };

	row->u.borrow_ended = (struct row_borrow_ended){
		.lease = 1042,
		.license = 2,
		.device = 9,
		.count = 3,
		.reason = BORROW_WRITTEN_OFF,
		.epoch = 41,
		.until = MAKER_TIME,
		.slots = { slots, 1 },
		.overage = 77,
		.overage_count = 2,
		.by = { ACTOR_ADMIN, 1 },
	};
}

static void
fill_proved(struct row *row)
{
	struct row_device_proved *r = &row->u.device_proved;

	r->device = 9;
	r->purpose = PROOF_RETURN;
	fill(r->nonce, 32, 21);
	fill(r->exporter, 32, 22);
	fill(r->request_digest, 32, 23);
	r->proof.class_ = PROOF_TPM;
	r->proof.counter = 42;
	r->proof.clock_ms = 99;
	r->proof.resets = 8;
	fill(r->proof.signature, 64, 24);
}

static void
fill_key_created(struct row *row)
{
	struct row_key_created *r = &row->u.key_created;

	r->device = 3;
	fill(r->hash, 32, 37);
	fill(r->name, 16, 38);
	text_copy(r->scopes, sizeof(r->scopes), "license:checkout admin:read");
	r->app_type = KEY_CLOUD_SERVICE;
	r->expires_at = MAKER_TIME;
	fill(r->document, 16, 39);
	fill(r->commitment, 32, 40);
	r->by = (struct row_actor){ ACTOR_ADMIN, 1 };
}

static void
fill_key_denied(struct row *row)
{
	struct row_key_denied *r = &row->u.key_denied;

	r->denied.device = 3;
	text_copy(r->denied.code, sizeof(r->denied.code), "ip_not_allowed");
	r->denied.count = 12;
	r->denied.minute = MAKER_TIME;
	fill(r->address, 16, 44);
	fill(r->host, 16, 45);
	fill(r->user, 16, 46);
	fill(r->fingerprint, 32, 47);
}

static void
fill_alert_opened(struct row *row)
{
	struct row_alert_opened *r = &row->u.alert_opened;

	r->alert = 3;
	r->subject = (struct alert_subject){ ALERT_QUOTA, ALERT_OF_KEY, 7, 80 };
	fill(r->address, 16, 48);
	fill(r->host, 16, 49);
	fill(r->fingerprint, 32, 50);
	r->value = 80;
	r->limit = 100;
	r->count = 2;
	r->first_at = MAKER_TIME;
	r->last_at = MAKER_TIME + 1;
}

static struct license_contract
hub_contract(void)
{
	return (struct license_contract){ .start_date = 20000,
		.end_date = 20364,
		.auto_renew = true,
		.billing_cycle = LICENSE_ANNUAL };
}

static void
fill_customer(struct row_customer *r)
{
	*r = (struct row_customer){ .customer = 2,
		.crm_account_id = "ACC-98765",
		.name = "Mercedes-Benz AG",
		.tenant_id = "mercedes",
		.domain = "mercedes.example",
		.country = "DE",
		.region = "eu",
		.plan = CUSTOMER_STARTUP,
		.status = CUSTOMER_PENDING,
		.by = { ACTOR_KEY, 3 } };
	fill(r->document, 16, 60);
	fill(r->commitment, 32, 61);
}

static void
fill_ordered(struct row_license_ordered *r)
{
	*r = (struct row_license_ordered){ .order = 7,
		.customer = 2,
		.license_id = "lic-vector-mercedes-2026-007",
		.opportunity = "OPP-7",
		.provision = true,
		.terms = {
			.product = { "davinci", "DaVinci", ">=8" },
			.entitlement = { 3, 2, 1, { 500000, 50000, "EUR" } },
			.contract = hub_contract(),
		},
		.by = { ACTOR_KEY, 3 } };
	fill(r->asked, 32, 62);
}

static void
fill_site_bound(struct row_site_bound *r)
{
	*r = (struct row_site_bound){ .number = 4,
		.customer = 2,
		.request = { .site = "site-1",
		    .name = "Halle 4",
		    .tenant = "default",
		    .key_class = "file",
		    .software = "leaseholdd 0.1.0",
		    .created_at = MAKER_TIME },
		.by = { ACTOR_USER, 3 } };
	fill(r->request.site_key, 32, 63);
}

static void
fill_reissued(struct row_site_reissued *r)
{
	struct row_site_bound before;

	fill_site_bound(&before);
	*r = (struct row_site_reissued){ .number = 4,
		.request = before.request,
		.by = { ACTOR_KEY, 3 } };
	fill(r->retired, 32, 87);
}

static void
fill_issued(struct row_license_issued *r)
{
	*r = (struct row_license_issued){ .order = 7,
		.serial = 2,
		.site = 4,
		.key = 1,
		.at = MAKER_TIME,
		.contract = hub_contract(),
		.token = { "v4.public.x", 11 },
		.by = { ACTOR_KEY, 3 } };
	fill(r->digest, 32, 64);
}

static void
fill_account(struct row *row)
{
	struct row_account_key *key = &row->u.account_key;
	struct row_account_issuer *issuer = &row->u.account_issuer;

	if (row->kind == ROW_ACCOUNT_KEY) {
		key->key = 1;
		fill(key->public_key, 32, 65);
		fill(key->document, 16, 66);
		fill(key->commitment, 32, 67);
		return;
	}
	*issuer = (struct row_account_issuer){ .key = 1,
		.vendor = { "vector", "Vector" },
		.not_before = MAKER_TIME,
		.not_after = MAKER_TIME + 1,
		.issuer = { "v4.public.y", 11 } };
	fill(issuer->root, 32, 68);
}

static void
fill_report_taken(struct row_report_taken *r)
{
	*r = (struct row_report_taken){ .site = 4,
		.sequence = 9,
		.batch = 70000,
		.generation = 1,
		.time = MAKER_TIME,
		.overage = 44,
		.receipt = { "v4.public.z", 11 } };
	fill(r->head, 32, 69);
	fill(r->history, 32, 70);
	fill(r->digest, 32, 71);
}

static void
fill_revised(struct row_license_revised *r)
{
	*r = (struct row_license_revised){ .order = 7,
		.revision = 3,
		.what = REVISION_SUSPENDED,
		.serial = 2,
		.automatic = true,
		.token = { "v4.public.w", 11 },
		.by = { ACTOR_SITE, 0 } };
	fill(r->reason, 16, 72);
}

/* One full row of each kind. */
static void
fill_row(struct row *row, enum row_kind kind)
{
	static const uint8_t key[32] = { 5, 6, 7 };
	static struct row_subject patterns[2] = { { { 1 } }, { { 2 } } };

	memset(row, 0, sizeof(*row));
	row->kind = kind;
	switch (kind) {
	case ROW_GENESIS:
		text_copy(row->u.genesis.site, sizeof(row->u.genesis.site),
		    "site-test");
		text_copy(row->u.genesis.tenant, sizeof(row->u.genesis.tenant),
		    "default");
		fill(row->u.genesis.site_key, 32, 4);
		row->u.genesis.format = 1;
		return;
	case ROW_STARTED:
		text_copy(row->u.started.software,
		    sizeof(row->u.started.software), "leaseholdd 0.1.0");
		row->u.started.generation = 2;
		row->u.started.clean = true;
		return;
	case ROW_SUBJECT_ADDED:
		fill(row->u.subject_added.subject, 16, 8);
		row->u.subject_added.kind = SUBJECT_ADDRESS;
		fill(row->u.subject_added.commitment, 32, 9);
		return;
	case ROW_LICENSE_INSTALLED:
		fill_installed(row);
		return;
	case ROW_JOIN_CREATED:
		row->u.join_created.join = 4;
		fill(row->u.join_created.id, 16, 10);
		row->u.join_created.approved = true;
		row->u.join_created.hosts = (struct record_list){ patterns, 2 };
		row->u.join_created.uses = 21;
		row->u.join_created.expires_at = MAKER_TIME;
		row->u.join_created.class_ = PROOF_ASSIGNED;
		return;
	case ROW_DEVICE_ENROLLED:
		row->u.device_enrolled.device = 3;
		row->u.device_enrolled.class_ = PROOF_SOFTWARE;
		row->u.device_enrolled.public_key =
		    (struct record_span){ key, 32 };
		fill(row->u.device_enrolled.name, 16, 11);
		fill(row->u.device_enrolled.host, 16, 12);
		row->u.device_enrolled.join = 4;
		row->u.device_enrolled.approved = true;
		return;
	case ROW_DEVICE_REVOKED:
		row->u.device_revoked.device = 3;
		fill(row->u.device_revoked.reason, 16, 15);
		row->u.device_revoked.by = (struct row_actor){ ACTOR_ADMIN, 1 };
		return;
	case ROW_LEASE_GRANTED:
		fill_granted(row);
		return;
	case ROW_LEASE_ENDED:
		*row = maker_end(1042, 2);
		row->u.lease_ended.count = 4;
		row->u.lease_ended.reason = LEASE_EXPIRED;
		row->u.lease_ended.deadline = MAKER_TIME;
		row->u.lease_ended.by = (struct row_actor){ ACTOR_DEVICE, 3 };
		return;
	case ROW_DENIED:
		row->u.denied.device = 3;
		row->u.denied.license = 2;
		text_copy(row->u.denied.product, sizeof(row->u.denied.product),
		    "davinci");
		text_copy(row->u.denied.code, sizeof(row->u.denied.code),
		    "overage_exhausted");
		row->u.denied.count = 400;
		row->u.denied.minute = MAKER_TIME;
		return;
	case ROW_CHECKPOINT:
		row->u.checkpoint.batch = 70000;
		fill(row->u.checkpoint.head, 32, 13);
		fill(row->u.checkpoint.state_hash, 32, 14);
		return;
	case ROW_CLOCK:
		row->u.clock.event = CLOCK_CORRECTED;
		row->u.clock.held = MAKER_TIME;
		row->u.clock.wall = MAKER_TIME - 5;
		row->u.clock.by = (struct row_actor){ ACTOR_ADMIN, 1 };
		return;
	case ROW_DEVICE_APPROVED:
		row->u.device_approved.device = 3;
		row->u.device_approved.by =
		    (struct row_actor){ ACTOR_ADMIN, 1 };
		return;
	case ROW_KEY_CREATED:
		fill_key_created(row);
		return;
	case ROW_KEY_CHANGED:
		row->u.key_changed.device = 3;
		fill(row->u.key_changed.document, 16, 41);
		fill(row->u.key_changed.commitment, 32, 42);
		row->u.key_changed.by = (struct row_actor){ ACTOR_KEY, 3 };
		return;
	case ROW_ACCOUNT_KEY:
	case ROW_ACCOUNT_ISSUER:
		fill_account(row);
		return;
	case ROW_CUSTOMER_ADDED:
	case ROW_CUSTOMER_CHANGED:
		fill_customer(&row->u.customer);
		return;
	case ROW_LICENSE_ORDERED:
		fill_ordered(&row->u.license_ordered);
		return;
	case ROW_SITE_BOUND:
		fill_site_bound(&row->u.site_bound);
		return;
	case ROW_SITE_REISSUED:
		fill_reissued(&row->u.site_reissued);
		return;
	case ROW_LICENSE_EXPIRED:
		row->u.license_expired =
		    (struct row_license_expired){ 7, 2, 20999 };
		return;
	case ROW_LICENSE_ISSUED:
	case ROW_LICENSE_FOUND:
		fill_issued(&row->u.license_issued);
		return;
	case ROW_LICENSE_REVISED:
		fill_revised(&row->u.license_revised);
		return;
	case ROW_LICENSE_RELEASED:
		row->u.license_released =
		    (struct row_license_released){ 7, { ACTOR_KEY, 3 } };
		return;
	case ROW_REPORT_TAKEN:
		fill_report_taken(&row->u.report_taken);
		return;
	case ROW_POLICY_SET:
		row->u.policy_set = (struct row_policy_set){ .version = 3,
			.rules = 2,
			.groups = 1,
			.members = 9,
			.by = { ACTOR_USER, 1 } };
		fill(row->u.policy_set.commitment, 32, 44);
		break;
	case ROW_KEY_ROTATED:
		row->u.key_rotated.device = 3;
		fill(row->u.key_rotated.hash, 32, 43);
		row->u.key_rotated.previous_until = MAKER_TIME;
		row->u.key_rotated.expires_at = MAKER_TIME + 1000;
		row->u.key_rotated.by = (struct row_actor){ ACTOR_USER, 1 };
		return;
	case ROW_USAGE_TRACKED:
		row->u.usage_tracked = (struct row_usage_tracked){ .license = 3,
			.metric = "api_calls",
			.kind = USAGE_GAUGE,
			.amount = 70000,
			.at = MAKER_TIME,
			.device = 9 };
		fill(row->u.usage_tracked.event, 16, 61);
		fill(row->u.usage_tracked.user, 16, 62);
		return;
	case ROW_LICENSE_CHANGED:
		row->u.license_changed =
		    (struct row_license_changed){ .license = 3,
			    .turn = LICENSE_TURN_CANCEL,
			    .revision = 7,
			    .from = MAKER_TIME + 5,
			    .issued_at = MAKER_TIME,
			    .token = { "v4.public.x", 11 },
			    .by = { ACTOR_SITE, 0 } };
		fill(row->u.license_changed.digest, 32, 63);
		return;
	case ROW_REPORT_MADE:
		row->u.report_made =
		    (struct row_report_made){ "vector", 7, { ACTOR_USER, 7 } };
		return;
	case ROW_REPORT_SHOWN: {
		static struct row_shown_license license = { .license = 3,
			.license_id = "lic-1",
			.serial = 2 };
		static struct row_shown_overage overage = { .license = 3,
			.license_id = "lic-1",
			.serial = 2,
			.generation = 1,
			.row = 77,
			.time = MAKER_TIME,
			.first = 44,
			.count = 2,
			.lease = 9,
			.again = true };

		row->u.report_shown = (struct row_report_shown){ .site = 2,
			.sequence = 7,
			.licenses = { &license, 1 },
			.overage = { &overage, 1 },
			.others = 4,
			.rollbacks = 1 };
		return;
	}
	case ROW_REPORT_SEATS: {
		static struct row_shown_denial denied = { "no_seats", 4 };
		static struct row_shown_seats hour = {
			.license_id = "lic-1",
			.serial = 2,
			.feature = "autosar",
			.start = MAKER_TIME,
			.checkouts = 3,
			.seats = 5,
			.borrows = 1,
			.peak = 4,
			.seat_ms = 7200000,
			.borrow_ms = 3600000,
			.denials = 4,
			.denied = { &denied, 1 },
			.issued = true,
		};

		row->u.report_seats.site = 3;
		row->u.report_seats.sequence = 7;
		row->u.report_seats.hours = (struct record_list){ &hour, 1 };
		break;
	}
	case ROW_REPORT_METRICS: {
		static struct row_shown_metric metric = {
			.license_id = "lic-1",
			.serial = 2,
			.metric = "api_calls",
			.start = MAKER_TIME,
			.kind = USAGE_GAUGE,
			.events = 3,
			.sum = 12,
			.max = 7,
			.last = 4,
			.billed = true,
		};

		row->u.report_metrics = (struct row_report_metrics){ .site = 2,
			.sequence = 7,
			.metrics = { &metric, 1 } };
		return;
	}
	case ROW_REPORT_REFUSED:
		row->u.report_refused = (struct row_report_refused){ .site = 2,
			.sequence = 7,
			.answer = 3,
			.reason = "another journal" };
		fill(row->u.report_refused.digest, 32, 67);
		return;
	case ROW_RECEIPT_TAKEN:
		row->u.receipt_taken = (struct row_receipt_taken){
			.vendor = "vector",
			.report = 8,
			.answer = 2,
			.reason = "number 7 is not here yet",
			.taken = { .sequence = 6,
			    .batch = 17,
			    .generation = 1,
			    .time = MAKER_TIME,
			    .overage = 44 },
			.at = MAKER_TIME,
			.by = { ACTOR_SITE, 0 },
		};
		fill(row->u.receipt_taken.taken.head, 32, 64);
		fill(row->u.receipt_taken.taken.history, 32, 65);
		fill(row->u.receipt_taken.digest, 32, 66);
		return;
	case ROW_ACT:
		row->u.act.by = (struct row_actor){ ACTOR_USER, 7 };
		text_copy(row->u.act.operation, sizeof(row->u.act.operation),
		    "device.revoke");
		text_copy(row->u.act.code, sizeof(row->u.act.code),
		    "forbidden");
		row->u.act.count = 12;
		row->u.act.minute = MAKER_TIME;
		fill(row->u.act.address, 16, 48);
		row->u.act.device = 3;
		return;
	case ROW_PRUNED:
		row->u.pruned = (struct row_pruned){ .before = 70000,
			.first_row = 900000,
			.time = MAKER_TIME,
			.checkpoint = 70100,
			.by = { ACTOR_USER, 1 } };
		fill(row->u.pruned.head, 32, 53);
		return;
	case ROW_UPDATE_REQUESTED:
		row->u.update_requested = (struct row_update_requested){
			.update = 3,
			.bytes = 70000000,
			.running = "0.1.0",
			.by = { ACTOR_ADMIN, 1 },
		};
		fill(row->u.update_requested.digest, 32, 81);
		return;
	case ROW_UPDATE_FINISHED:
	case ROW_UPDATE_FAILED:
	case ROW_UPDATE_FELL_BACK:
		row->u.update_ended = (struct row_update_ended){
			.update = 3,
			.version = "0.2.0",
			.slot = "B",
			.reason = "it is older than the floor",
		};
		fill(row->u.update_ended.digest, 32, 82);
		return;
	case ROW_MAINTENANCE_OPENED:
	case ROW_MAINTENANCE_REFUSED:
	case ROW_MAINTENANCE_ENDED:
		row->u.maintenance = (struct row_maintenance){
			.event = 5,
			.owner = "k4.pid.abc",
			.minutes = 30,
			.at = MAKER_TIME,
			.until = MAKER_TIME + 1800000,
		};
		fill(row->u.maintenance.token, 16, 85);
		fill(row->u.maintenance.reason, SUBJECT_BYTES, 86);
		return;
	case ROW_IMAGE_ADDED: {
		static struct row_image_pcr pcrs[2] = { { .pcr = 7 },
			{ .pcr = 11 } };

		fill(pcrs[0].value, 32, 83);
		fill(pcrs[1].value, 32, 84);
		row->u.image_added = (struct row_image_added){
			.image = 2,
			.version = "0.2.0",
			.build_id = "b1",
			.pcrs = { pcrs, 2 },
			.by = { ACTOR_ADMIN, 1 },
		};
		return;
	}
	case ROW_IMAGE_REMOVED:
		row->u.image_removed = (struct row_image_removed){ .image = 2,
			.by = { ACTOR_ADMIN, 1 } };
		return;
	case ROW_SITE_MEASURED:
		row->u.site_measured = (struct row_site_measured){
			.site = 1,
			.sequence = 9,
			.boot = 3,
			.image = 2,
			.reason = "it says to run 0.2.0, and PCR 11 is another",
		};
		fill(row->u.site_measured.pcrs, 32, 85);
		fill(row->u.site_measured.log_digest, 32, 86);
		return;
	case ROW_SITE_ROLLED_BACK:
		row->u.site_rolled_back = (struct row_site_rolled_back){
			.site = 1,
			.sequence = 9,
			.generation = 2,
			.batch = 40,
			.row = 77,
			.time = 1700000060000,
			.lost_batch = 57,
			.seats = 3,
		};
		return;
	case ROW_INVOICE_MADE:
		row->u.invoice = (struct row_invoice){
			.number = 7,
			.customer = 3,
			.first = 20000,
			.last = 20029,
			.total = 2700000,
			.currency = "EUR",
			.channels = 2,
			.document = { (const uint8_t *)"{}", 2 },
			.by = { ACTOR_ADMIN, 1 },
		};
		return;
	case ROW_INVOICE_AGAIN:
		row->u.invoice_again =
		    (struct row_invoice_again){ 7, 1, { ACTOR_ADMIN, 1 } };
		return;
	case ROW_CREDIT_ADDED:
	case ROW_CREDIT_TAKEN:
		row->u.credit = (struct row_credit){
			.number = 7,
			.id = "CN-2026-0007",
			.vendor = "vector",
			.customer = 3,
			.site = 2,
			.license_id = "lic-vector-mercedes-2026-001",
			.first = 20000,
			.last = 20029,
			.amount = 12050,
			.currency = "EUR",
			.reason = CREDIT_OUTAGE,
			.evidence = "INC-4711",
			.at = 1700000050000,
			.by = { ACTOR_ADMIN, 1 },
		};
		return;
	case ROW_KEY_DENIED:
		fill_key_denied(row);
		return;
	case ROW_CHANNEL_ADDED:
		row->u.channel_added.channel = 3;
		row->u.channel_added.kind = CHANNEL_MAIL;
		row->u.channel_added.least = ALERT_CRITICAL;
		fill(row->u.channel_added.document, 16, 51);
		fill(row->u.channel_added.commitment, 32, 52);
		row->u.channel_added.by = (struct row_actor){ ACTOR_USER, 1 };
		return;
	case ROW_CHANNEL_REMOVED:
		row->u.channel_removed.channel = 3;
		row->u.channel_removed.by = (struct row_actor){ ACTOR_USER, 1 };
		return;
	case ROW_DELIVERY:
		fill(row->u.delivery.delivery, 16, 53);
		row->u.delivery.alert = 3;
		row->u.delivery.channel = 4;
		row->u.delivery.event = DELIVERY_DROPPED;
		row->u.delivery.by = (struct row_actor){ ACTOR_USER, 1 };
		return;
	case ROW_ALERT_OPENED:
		fill_alert_opened(row);
		return;
	case ROW_ALERT_AGAIN:
		row->u.alert_again =
		    (struct row_alert_again){ 3, 17, MAKER_TIME };
		return;
	case ROW_ALERT_ACKNOWLEDGED:
		row->u.alert_acknowledged.alert = 3;
		row->u.alert_acknowledged.by =
		    (struct row_actor){ ACTOR_USER, 1 };
		return;
	case ROW_ALERT_CLOSED:
		row->u.alert_closed =
		    (struct row_alert_closed){ 3, ALERT_QUIET };
		return;
	case ROW_JOIN_REVOKED:
		row->u.join_revoked.join = 4;
		row->u.join_revoked.by = (struct row_actor){ ACTOR_ADMIN, 1 };
		return;
	case ROW_TICK:
		row->u.tick.counter = 77;
		row->u.tick.witness = WITNESS_TPM;
		return;
	case ROW_GENERATION:
		row->u.generation = (struct row_generation){
			.generation = 2,
			.lost = { 1, 150, { 7 }, MAKER_TIME, 40, 30, 3 },
			.stored = 12,
			.witnessed = 17,
			.counter = 18,
			.next_lease = 1000000001,
			.next_device = 1000001,
			.by = { ACTOR_ADMIN, 1 },
		};
		fill(row->u.generation.reason, 16, 16);
		return;
	case ROW_LEASE_ADOPTED:
		fill_adopted(row);
		return;
	case ROW_BORROWED:
	case ROW_BORROW_REISSUED:
		fill_borrowed(row, kind);
		return;
	case ROW_BORROW_RETURNING:
		row->u.borrow_returning =
		    (struct row_borrow_returning){ 9, 42 };
		return;
	case ROW_BORROW_ENDED:
		fill_borrow_ended(row);
		return;
	case ROW_ERASURE: {
		static struct row_number users[] = { { 3 }, { 70000 } };

		row->u.erasure = (struct row_erasure){
			.erasure = 300,
			.subjects = { patterns, 2 },
			.users = { users, 2 },
			.by = { ACTOR_USER, 7 },
		};
		fill(row->u.erasure.document, 32, 9);
		break;
	}
	case ROW_DEVICE_PROVED:
		fill_proved(row);
		return;
	case ROW_USER_CREATED:
		row->u.user_created = (struct row_user_created){
			.user = 3,
			.role = USER_AUDITOR,
			.source = USER_DIRECTORY,
			.by = { ACTOR_USER, 2 },
		};
		fill(row->u.user_created.document, 16, 1);
		fill(row->u.user_created.commitment, 32, 2);
		return;
	case ROW_USER_CHANGED:
		row->u.user_changed = (struct row_user_changed){
			.user = 3,
			.what = USER_TOTP_SET,
			.role = USER_AUDITOR,
			.state = USER_DISABLED,
			.totp_step = 59000000,
			.by = { ACTOR_ADMIN, 1 },
		};
		fill(row->u.user_changed.document, 16, 1);
		fill(row->u.user_changed.commitment, 32, 2);
		return;
	case ROW_USER_LOGIN:
		row->u.user_login = (struct row_user_login){ 3, 17, 59000001 };
		return;
	case ROW_USER_DENIED:
		row->u.user_denied = (struct row_user_denied){
			.user = 3,
			.code = "locked_out",
			.count = 12,
			.minute = 1700000040000,
		};
		return;
	case ROW_TENANT_CHANGED:
		row->u.tenant_changed = (struct row_tenant_changed){
			.revision = 7,
			.at = 1700000040000,
			.suspended = true,
			.limits = { .calls_per_day = 9000, .keys = 3 },
			.by = { ACTOR_ADMIN, 2 },
		};
		fill(row->u.tenant_changed.reason, 16, 4);
		return;
	}
}

static const enum row_kind kinds[] = { ROW_GENESIS, ROW_STARTED,
	ROW_SUBJECT_ADDED, ROW_LICENSE_INSTALLED, ROW_JOIN_CREATED,
	ROW_DEVICE_ENROLLED, ROW_DEVICE_REVOKED, ROW_LEASE_GRANTED,
	ROW_LEASE_ENDED, ROW_DENIED, ROW_CHECKPOINT, ROW_CLOCK,
	ROW_DEVICE_APPROVED, ROW_JOIN_REVOKED, ROW_TICK, ROW_GENERATION,
	ROW_LEASE_ADOPTED, ROW_BORROWED, ROW_BORROW_REISSUED,
	ROW_BORROW_RETURNING, ROW_BORROW_ENDED, ROW_DEVICE_PROVED,
	ROW_USER_CREATED, ROW_USER_CHANGED, ROW_USER_LOGIN, ROW_USER_DENIED,
	ROW_ERASURE, ROW_TENANT_CHANGED, ROW_ALERT_OPENED, ROW_ALERT_AGAIN,
	ROW_ALERT_ACKNOWLEDGED, ROW_ALERT_CLOSED, ROW_CHANNEL_ADDED,
	ROW_CHANNEL_REMOVED, ROW_DELIVERY, ROW_ACT, ROW_PRUNED, ROW_REPORT_MADE,
	ROW_RECEIPT_TAKEN, ROW_REPORT_SHOWN, ROW_REPORT_METRICS,
	ROW_REPORT_REFUSED, ROW_UPDATE_REQUESTED, ROW_UPDATE_FINISHED,
	ROW_UPDATE_FAILED, ROW_UPDATE_FELL_BACK, ROW_IMAGE_ADDED,
	ROW_IMAGE_REMOVED, ROW_SITE_MEASURED, ROW_CREDIT_ADDED,
	ROW_CREDIT_TAKEN, ROW_SITE_ROLLED_BACK, ROW_MAINTENANCE_OPENED,
	ROW_MAINTENANCE_REFUSED, ROW_MAINTENANCE_ENDED, ROW_INVOICE_MADE,
	ROW_INVOICE_AGAIN, ROW_SITE_REISSUED, ROW_LICENSE_EXPIRED };
#define KINDS ((int)(sizeof(kinds) / sizeof(kinds[0])))

START_TEST(a_row_of_each_kind_is_read_as_it_was_written)
{
	struct row row;
	struct row found;
	struct buf bytes = { 0 };
	struct buf again = { 0 };
	struct arena arena = { 0 };

	fill_row(&row, kinds[_i]);
	ck_assert_int_eq(record_check(row_record(kinds[_i]), &row.u, NULL), 0);
	row_write(&bytes, &row);
	ck_assert_uint_eq(be16_read(bytes.data), kinds[_i]);
	ck_assert_int_eq(row_read(&found, 77, bytes.data, bytes.len, &arena),
	    0);
	ck_assert_uint_eq(found.number, 77);
	ck_assert_uint_eq(found.kind, kinds[_i]);
	row_write(&again, &found);
	ck_assert_uint_eq(again.len, bytes.len);
	ck_assert_mem_eq(again.data, bytes.data, bytes.len);
	buf_release(&bytes);
	buf_release(&again);
	arena_release(&arena);
}
END_TEST

/* Cut anywhere, longer by a byte, or with any byte changed: refused, or else a
 * row with exactly these bytes (there are no two ways to write one). */
START_TEST(damaged_rows_are_refused_or_other_rows)
{
	struct row row;
	struct row found;
	struct buf bytes = { 0 };
	struct buf again = { 0 };
	struct arena arena = { 0 };

	fill_row(&row, kinds[_i]);
	row_write(&bytes, &row);
	size_t len = bytes.len;

	for (size_t n = 0; n < len; n++)
		ck_assert_int_eq(row_read(&found, 1, bytes.data, n, &arena),
		    ERR_CORRUPT);
	buf_add_byte(&bytes, 0);
	ck_assert_int_eq(row_read(&found, 1, bytes.data, bytes.len, &arena),
	    ERR_CORRUPT);
	for (size_t i = 0; i < len; i++) {
		uint8_t was = bytes.data[i];

		for (int c = 0; c < 256; c++) {
			bytes.data[i] = (uint8_t)c;
			arena_clear(&arena);
			int err = row_read(&found, 1, bytes.data, len, &arena);

			if (err != 0) {
				ck_assert(err == ERR_CORRUPT ||
				    err == ERR_UNKNOWN_ROW);
				continue;
			}
			buf_clear(&again);
			row_write(&again, &found);
			ck_assert_uint_eq(again.len, len);
			ck_assert_mem_eq(again.data, bytes.data, len);
		}
		bytes.data[i] = was;
	}
	buf_release(&bytes);
	buf_release(&again);
	arena_release(&arena);
}
END_TEST

START_TEST(unknown_kinds_are_named_as_such)
{
	static const uint32_t unknown[] = { 0, 15, 19, 23, 29, 35, 255, 65535 };
	struct row row;
	struct arena arena = { 0 };

	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		uint8_t bytes[] = { (uint8_t)(unknown[i] >> 8),
			(uint8_t)unknown[i], 0x91, 0x01 };

		ck_assert_ptr_null(row_record(unknown[i]));
		ck_assert_str_eq(row_kind_name(unknown[i]), "unknown");
		ck_assert_int_eq(row_read(&row, 1, bytes, sizeof(bytes),
				     &arena),
		    ERR_UNKNOWN_ROW);
	}
	ck_assert_ptr_null(row_record(UINT32_MAX));
	ck_assert_str_eq(row_kind_name(ROW_LEASE_GRANTED), "lease.granted");
	arena_release(&arena);
}
END_TEST

START_TEST(a_row_that_could_not_be_read_is_not_written)
{
	struct row row;
	struct buf bytes = { 0 };

	fill_row(&row, ROW_LEASE_GRANTED);
	row.u.lease_granted.ttl_s = 0;
	row_write(&bytes, &row);
	ck_assert(bytes.failed);
	ck_assert_uint_eq(bytes.len, 0);
	buf_clear(&bytes);
	row.u.lease_granted.ttl_s = 1;
	row.u.lease_granted.type = 2;
	row_write(&bytes, &row);
	ck_assert(bytes.failed);
	buf_release(&bytes);
}
END_TEST

static void
names(char *license, char *feature)
{
	memset(license, 'l', 63);
	memset(feature, 'f', 63);
}

/* As much as a report can put into one row (ROW_SHOWN_MAX), each as long as can
 * be: a journal takes it; and what is longer it does not. */
START_TEST(what_a_report_shows_fits_into_a_row)
{
	static struct row_shown_overage overage[ROW_SHOWN_MAX];
	static struct row_shown_metric metrics[ROW_SHOWN_MAX];
	static struct row_shown_seats hours[ROW_SHOWN_MAX];
	static struct row_shown_denial denied[ROW_DENIED_MAX];
	struct row row = { .kind = ROW_REPORT_SHOWN }, found;
	struct buf bytes = { 0 };
	struct arena arena = { 0 };

	for (uint32_t i = 0; i < ROW_DENIED_MAX; i++) {
		memset(denied[i].code, 'c', 31);
		denied[i].count = U53_MAX;
	}
	for (uint32_t i = 0; i < ROW_SHOWN_MAX; i++) {
		overage[i] = (struct row_shown_overage){ U53_MAX, "", U53_MAX,
			"", UINT32_MAX, U53_MAX, MAKER_TIME, U53_MAX,
			LEASE_COUNT_MAX, U53_MAX, UINT32_MAX, U53_MAX, true,
			true };
		names(overage[i].license_id, overage[i].feature);
		metrics[i] = (struct row_shown_metric){ "", U53_MAX, "",
			MAKER_TIME, USAGE_GAUGE, U53_MAX, U53_MAX, U53_MAX,
			U53_MAX, true };
		names(metrics[i].license_id, metrics[i].metric);
		hours[i] = (struct row_shown_seats){ "", U53_MAX, "",
			MAKER_TIME, U53_MAX, U53_MAX, U53_MAX, UINT32_MAX,
			U53_MAX, U53_MAX, U53_MAX, { denied, ROW_DENIED_MAX },
			true };
		names(hours[i].license_id, hours[i].feature);
	}
	row.u.report_shown = (struct row_report_shown){ U53_MAX, U53_MAX,
		.overage = { overage, ROW_SHOWN_MAX }, .others = U53_MAX,
		.rollbacks = UINT32_MAX };
	row_write(&bytes, &row);
	ck_assert(!bytes.failed);
	ck_assert_int_eq(row_read(&found, 1, bytes.data, bytes.len, &arena), 0);
	buf_clear(&bytes);
	row = (struct row){ .kind = ROW_REPORT_METRICS };
	row.u.report_metrics = (struct row_report_metrics){ U53_MAX, U53_MAX,
		{ metrics, ROW_SHOWN_MAX } };
	row_write(&bytes, &row);
	ck_assert(!bytes.failed);
	ck_assert_int_eq(row_read(&found, 1, bytes.data, bytes.len, &arena), 0);
	buf_clear(&bytes);
	/* Of these, fewer: see hub_emit_seats(). */
	row = (struct row){ .kind = ROW_REPORT_SEATS };
	row.u.report_seats = (struct row_report_seats){ U53_MAX, U53_MAX,
		{ hours, ROW_SHOWN_MAX / 4 } };
	row_write(&bytes, &row);
	ck_assert(!bytes.failed);
	ck_assert_int_eq(row_read(&found, 1, bytes.data, bytes.len, &arena), 0);
	buf_clear(&bytes);
	row.u.report_seats.hours.count = ROW_SHOWN_MAX;
	row_write(&bytes, &row);
	ck_assert(bytes.failed);
	buf_release(&bytes);
	arena_release(&arena);
}
END_TEST

/* The bytes are a promise: a journal of today is read for ever. */
START_TEST(the_bytes_of_a_row_never_change)
{
	struct row row;
	struct buf bytes = { 0 };
	char hex[4096];

	fill_row(&row, ROW_LEASE_ENDED);
	row_write(&bytes, &row);
	text_to_hex(hex, bytes.data, bytes.len);
	ck_assert_str_eq(hex,
	    "0009" /* kind */
	    "9701" /* six fields, version 1 */
	    "cd0412020402" /* 1042, 2, 4 seats, expired */
	    "cf000001977420dc00" /* deadline */
	    "93010103" /* by device 3 */);
	buf_release(&bytes);
}
END_TEST

/* An adopted lease is the grant that its device has, with the seats and numbers
 * that it has now. */
START_TEST(an_adopted_lease_is_read_as_its_grant)
{
	struct row row, granted;
	struct row_lease_granted grant;
	struct arena arena = { 0 };

	fill_row(&granted, ROW_LEASE_GRANTED);
	ck_assert_int_eq(row_grant(&grant, &granted, &arena), 0);
	ck_assert_uint_eq(grant.license, granted.u.lease_granted.license);
	fill_row(&row, ROW_LEASE_ADOPTED);
	ck_assert_int_eq(row_grant(&grant, &row, &arena), 0);
	ck_assert_uint_eq(grant.lease, granted.u.lease_granted.lease);
	ck_assert_mem_eq(grant.request, granted.u.lease_granted.request, 16);
	ck_assert_uint_eq(grant.license, 3);
	ck_assert_uint_eq(row_slot_first(&grant), 40);
	ck_assert(row_slots_are_sound(&grant));

	/* It is of that lease, that device, as many seats, of that type. */
	for (int i = 0; i < 6; i++) {
		fill_row(&row, ROW_LEASE_ADOPTED);
		row.u.lease_adopted.lease += i == 0;
		row.u.lease_adopted.device += i == 1;
		row.u.lease_adopted.count += i == 2;
		row.u.lease_adopted.type ^= (uint32_t)(i == 3);
		row.u.lease_adopted.overage_count += i == 4;
		row.u.lease_adopted.row.len -= i == 5;
		ck_assert_int_eq(row_grant(&grant, &row, &arena), ERR_CORRUPT);
	}
	fill_row(&row, ROW_TICK);
	ck_assert_int_eq(row_grant(&grant, &row, &arena), ERR_MISMATCH);
	arena_release(&arena);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("rows");
	TCase *rows = tcase_create("rows");

	tcase_add_loop_test(rows, a_row_of_each_kind_is_read_as_it_was_written,
	    0, KINDS);
	tcase_add_loop_test(rows, damaged_rows_are_refused_or_other_rows, 0,
	    KINDS);
	tcase_add_test(rows, unknown_kinds_are_named_as_such);
	tcase_add_test(rows, an_adopted_lease_is_read_as_its_grant);
	tcase_add_test(rows, a_row_that_could_not_be_read_is_not_written);
	tcase_add_test(rows, what_a_report_shows_fits_into_a_row);
	tcase_add_test(rows, the_bytes_of_a_row_never_change);
	tcase_set_timeout(rows, 60);
	suite_add_tcase(s, rows);
	return s;
}

/*
 * `leasehold`, for the engineer at the workstation and the admin of the site:
 * turns words of the command line into operations of the site (HTTPS) or of
 * the agent (Unix socket) and their replies into a table or JSON. It holds no
 * key but the admin's bearer key and decides nothing. It must not know stores,
 * sessions or TPMs.
 */
#ifndef AGENT_CLI_CLI_H
#define AGENT_CLI_CLI_H

#include "agent/cli/table.h"
#include "shared/base/buf.h"
#include "shared/rpc/local.h"
#include "shared/rpc/operations.h"

#include <stdbool.h>

/** Exit statuses; stable. */
enum cli_exit {
	CLI_DONE = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_REFUSED = 3,
	CLI_UNREACHABLE = 4,
};

/** Where to ask, and how to answer: flags over environment over file. */
struct cli {
	char server[256]; /* https://site.example:7443 */
	char key[128]; /* secret: wiped at the end */
	char ca_file[512];
	char socket[108];
	char loose_file[512]; /* holds the key, and others may read it; or "" */
	bool json;
	bool key_given; /* on the command line or in the environment */
	bool session; /* the key is that of `leasehold login` */
	/** Where a refusal of cli_call() is told instead of to the person; or
	 * NULL. */
	struct problem *problem;
	/** NULL, or asked while the site is waited for: has the person seen
	 * enough? */
	bool (*cancelled)(void *ctx);
	void *cancelled_ctx;
	/* Of a program that holds a seat by its key: */
	char again[64]; /* Idempotency-Key, or "" */
	char hostname[128]; /* X-Hostname, or "" */
	char fingerprint[65]; /* X-App-Fingerprint, or "" */
	char last_event[24]; /* Last-Event-ID, or "" */
	struct problem *quiet; /* gets what the site refuses, unsaid; or NULL */
	uint32_t timeout_s; /* of one question; 0: 60 */
};

/** A command: its words, what follows them, what it does. */
struct command_spec {
	const char *words; /* "license install" */
	const char *arguments; /* "FILE" */
	const char *doc;
	const char *options; /* lines for --help, or NULL */
	const char *example;
	/** argv[0] is the last word of the command. */
	int (*run)(struct cli *cli, int argc, char **argv);
};
extern const struct command_spec commands[]; /* ends with words NULL */

/** Read environment and config file into `cli`. Returns an exit status. */
int cli_configure(struct cli *cli);

/**
 * One option of a command line: "--name VALUE", "--name=VALUE" or a flag.
 * Takes it (and its value) out of argv. Returns 1 when found, 0 when not, -1
 * when the value is missing (said on standard error).
 */
int cli_option(const char **value, int *argc, char **argv, const char *name);
bool cli_flag(int *argc, char **argv, const char *name);
/** Refuse what is left: options nobody took, and more than `most` arguments
 * or fewer than `least`. A "--" is taken out: what follows it is no option.
 * Returns CLI_DONE or CLI_USAGE (said). */
int cli_arguments(int argc, char **argv, int least, int most,
    const char *usage);
/** A whole number within bounds; says what is wrong. */
bool cli_number(uint64_t *value, const char *text, const char *what,
    uint64_t least, uint64_t most);
/** "lease-1042" or "1042", `what` is "LEASE"; says what is wrong. */
bool cli_id(uint64_t *id, const char *text, const char *what,
    const char *prefix);
/** The one argument of a command about one thing, by its number; `usage` ends
 * with what it is called there: "device show DEVICE". Returns CLI_DONE or
 * CLI_USAGE (said). */
int cli_only_id(uint64_t *id, int argc, char **argv, const char *usage,
    const char *prefix);
/** "90", "90s", "15m", "1h", "7d" to seconds. */
bool cli_duration(uint32_t *seconds, const char *text, const char *what);

/**
 * Ask the site. `reply` is filled in from its answer; spans and lists live in
 * the arena. On anything else the problem was said on standard error and the
 * exit status is returned.
 */
int cli_call(struct cli *cli, enum operation_id op, const void *request,
    void *reply, struct arena *arena);

/** Likewise of a stream: `piece` gets what comes, and ends it with false. When
 * it began and then ended, for whatever reason: CLI_DONE. */
int cli_stream(struct cli *cli, enum operation_id op, const void *request,
    bool (*piece)(void *ctx, const char *data, size_t len), void *ctx,
    struct arena *arena);

/** Likewise; and the answer is printed here when it is wanted as JSON. */
int cli_answer(struct cli *cli, enum operation_id op, const void *request,
    void *reply, struct arena *arena);

/** Go on after a page, if its cursor is beyond the last one: who names an
 * old one would be asked for ever. Returns CLI_DONE or CLI_FAILED (said). */
int cli_next_page(uint64_t *after, uint64_t next);

/** Ask the agent, likewise; for one question and one answer. */
int cli_ask(struct cli *cli, enum local_id op, const void *request, void *reply,
    struct arena *arena);

/** Say a problem: what happened, what it means, what to type. */
void cli_problem(const struct cli *cli, const struct problem *problem);
/** The exit status that fits a refusal or fault. */
int cli_status(int err);

/** "leasehold: ..." on standard error; nothing in it steers the terminal. */
void cli_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Likewise on standard output, for what strangers named. */
void cli_show(const char *format, ...) __attribute__((format(printf, 1, 2)));

/**
 * The one record that a JSON file holds; its texts are in the arena.
 * @param what  what the file should be: "policy"
 * @param hint  where one comes from, for who took another file; NULL: nothing
 * Returns CLI_DONE or CLI_FAILED (said).
 */
int cli_read_record(void *out, const struct record *record, const char *path,
    const char *what, const char *hint, struct arena *arena);

/** A reply as JSON on standard output, pretty. */
void cli_print_json(const struct record *record, const void *value);

/** A list that comes in pages, as one JSON object: {"items": [...]}, an item a
 * line. Zero-initialise. */
struct json_items {
	uint64_t count;
};
void cli_add_items(struct json_items *items, const struct record *record,
    const struct record_list *page);
void cli_end_items(struct json_items *items);

/** "2026-11-22 05:20:00Z"; "" for 0. */
void cli_time(char out[32], int64_t time_ms);
/** "3 d 4 h", "2 min", "17 s". */
void cli_span(char out[32], int64_t seconds);

/* The commands, by file. */
int help_command(struct cli *cli, int argc, char **argv);
int site_init(struct cli *cli, int argc, char **argv);
int site_request_file(struct cli *cli, int argc, char **argv);
int site_show(struct cli *cli, int argc, char **argv);
int site_clock(struct cli *cli, int argc, char **argv);
int site_clock_confirm(struct cli *cli, int argc, char **argv);
int site_clock_correct(struct cli *cli, int argc, char **argv);
int site_acknowledge_rollback(struct cli *cli, int argc, char **argv);
int license_install_file(struct cli *cli, int argc, char **argv);
int license_list(struct cli *cli, int argc, char **argv);
int license_show(struct cli *cli, int argc, char **argv);
int sync_show(struct cli *cli, int argc, char **argv);
int sync_preview(struct cli *cli, int argc, char **argv);
int sync_export(struct cli *cli, int argc, char **argv);
int sync_import(struct cli *cli, int argc, char **argv);
int sync_run_now(struct cli *cli, int argc, char **argv);
/** At a hub: the other end of both. */
int hub_import(struct cli *cli, int argc, char **argv);
int policy_show(struct cli *cli, int argc, char **argv);
int policy_check(struct cli *cli, int argc, char **argv);
int policy_apply(struct cli *cli, int argc, char **argv);
int policy_history(struct cli *cli, int argc, char **argv);
int policy_export(struct cli *cli, int argc, char **argv);
int policy_import_flexlm(struct cli *cli, int argc, char **argv);
/** Whom a policy would touch, for people. */
void policy_show_impact(const struct policy_impact *impact);
int tenant_create(struct cli *cli, int argc, char **argv);
int tenant_list(struct cli *cli, int argc, char **argv);
int tenant_show(struct cli *cli, int argc, char **argv);
int tenant_usage_show(struct cli *cli, int argc, char **argv);
int tenant_set(struct cli *cli, int argc, char **argv);
int tenant_suspend(struct cli *cli, int argc, char **argv);
int tenant_resume(struct cli *cli, int argc, char **argv);
int join_create(struct cli *cli, int argc, char **argv);
int join_list(struct cli *cli, int argc, char **argv);
int join_revoke(struct cli *cli, int argc, char **argv);
int api_key_create(struct cli *cli, int argc, char **argv);
int api_key_list(struct cli *cli, int argc, char **argv);
int api_key_show(struct cli *cli, int argc, char **argv);
int api_key_rotate(struct cli *cli, int argc, char **argv);
int api_key_revoke(struct cli *cli, int argc, char **argv);
int api_key_restrict(struct cli *cli, int argc, char **argv);
int device_list(struct cli *cli, int argc, char **argv);
int device_show(struct cli *cli, int argc, char **argv);
int device_key(struct cli *cli, int argc, char **argv);
int maintenance_key(struct cli *cli, int argc, char **argv);
int maintenance_show(struct cli *cli, int argc, char **argv);
int maintenance_ask(struct cli *cli, int argc, char **argv);
int maintenance_token(struct cli *cli, int argc, char **argv);
int device_approve(struct cli *cli, int argc, char **argv);
int device_revoke(struct cli *cli, int argc, char **argv);
int agent_enroll(struct cli *cli, int argc, char **argv);
int agent_status(struct cli *cli, int argc, char **argv);
int agent_checkout(struct cli *cli, int argc, char **argv);
int agent_run(struct cli *cli, int argc, char **argv);
/** The same two with the API key, without an agent: checkout and run hand on to
 * them. */
int by_key_checkout(struct cli *cli, int argc, char **argv);
int by_key_run(struct cli *cli, int argc, char **argv);
int agent_return(struct cli *cli, int argc, char **argv);
int borrow_take(struct cli *cli, int argc, char **argv);
int borrow_list(struct cli *cli, int argc, char **argv);
int borrow_extend(struct cli *cli, int argc, char **argv);
int borrow_return(struct cli *cli, int argc, char **argv);
int borrow_deliver(struct cli *cli, int argc, char **argv);
int borrow_write_off(struct cli *cli, int argc, char **argv);
int leases_list(struct cli *cli, int argc, char **argv);
int leases_release(struct cli *cli, int argc, char **argv);
int queue_list(struct cli *cli, int argc, char **argv);
int queue_remove(struct cli *cli, int argc, char **argv);
int appliance_show(struct cli *cli, int argc, char **argv);
int appliance_update(struct cli *cli, int argc, char **argv);
int appliance_drop(struct cli *cli, int argc, char **argv);
int backup_make(struct cli *cli, int argc, char **argv);
int backup_show(struct cli *cli, int argc, char **argv);
int backup_verify(struct cli *cli, int argc, char **argv);
int restore_tenant(struct cli *cli, int argc, char **argv);
int tenant_export(struct cli *cli, int argc, char **argv);
int tenant_delete(struct cli *cli, int argc, char **argv);
int tenant_certificate(struct cli *cli, int argc, char **argv);
int tenant_check(struct cli *cli, int argc, char **argv);
int person_find(struct cli *cli, int argc, char **argv);
int person_export(struct cli *cli, int argc, char **argv);
int person_erase(struct cli *cli, int argc, char **argv);
int person_erasures(struct cli *cli, int argc, char **argv);
int person_verify(struct cli *cli, int argc, char **argv);
int user_login(struct cli *cli, int argc, char **argv);
int user_logout(struct cli *cli, int argc, char **argv);
int user_whoami(struct cli *cli, int argc, char **argv);
int user_password(struct cli *cli, int argc, char **argv);
int user_totp_on(struct cli *cli, int argc, char **argv);
int user_totp_off(struct cli *cli, int argc, char **argv);
int user_totp_reset(struct cli *cli, int argc, char **argv);
int user_create(struct cli *cli, int argc, char **argv);
int user_list(struct cli *cli, int argc, char **argv);
int user_show(struct cli *cli, int argc, char **argv);
int user_set(struct cli *cli, int argc, char **argv);
int user_disable(struct cli *cli, int argc, char **argv);
int user_enable(struct cli *cli, int argc, char **argv);
int user_reset(struct cli *cli, int argc, char **argv);
int user_remove(struct cli *cli, int argc, char **argv);
int user_sessions_command(struct cli *cli, int argc, char **argv);
int user_end(struct cli *cli, int argc, char **argv);
int events_command(struct cli *cli, int argc, char **argv);
int usage_current_command(struct cli *cli, int argc, char **argv);
int usage_report_command(struct cli *cli, int argc, char **argv);
int usage_stats_command(struct cli *cli, int argc, char **argv);
int billing_statement(struct cli *cli, int argc, char **argv);
int billing_evidence_list(struct cli *cli, int argc, char **argv);
int audit_search_command(struct cli *cli, int argc, char **argv);
int audit_state_command(struct cli *cli, int argc, char **argv);
int audit_rebuild_command(struct cli *cli, int argc, char **argv);
int alerts_list(struct cli *cli, int argc, char **argv);
int alerts_ack(struct cli *cli, int argc, char **argv);
int channel_add(struct cli *cli, int argc, char **argv);
int channel_list(struct cli *cli, int argc, char **argv);
int channel_remove(struct cli *cli, int argc, char **argv);
int channel_test(struct cli *cli, int argc, char **argv);
int outbox_list(struct cli *cli, int argc, char **argv);
int outbox_retry(struct cli *cli, int argc, char **argv);
int outbox_drop(struct cli *cli, int argc, char **argv);
int audit_export_command(struct cli *cli, int argc, char **argv);
/** Hold an export against itself and the key; NULL: the one that it names. */
int audit_prove_file(const struct cli *cli, const char *path,
    const char *site_key);
int hub_key_show(struct cli *cli, int argc, char **argv);
int hub_key_make(struct cli *cli, int argc, char **argv);
int hub_key_install(struct cli *cli, int argc, char **argv);
/** All keys of the site, from its own word; its journal's end proves it. */
int audit_site_keys(struct site_keys *keys, const struct site_view *site);
int hub_site_add(struct cli *cli, int argc, char **argv);
int hub_reissue(struct cli *cli, int argc, char **argv);
int hub_site_list(struct cli *cli, int argc, char **argv);
int hub_image_add(struct cli *cli, int argc, char **argv);
int hub_image_remove(struct cli *cli, int argc, char **argv);
int hub_image_list(struct cli *cli, int argc, char **argv);
int hub_site_show(struct cli *cli, int argc, char **argv);
int hub_credit_add(struct cli *cli, int argc, char **argv);
int hub_credit_list(struct cli *cli, int argc, char **argv);
int hub_invoice_make(struct cli *cli, int argc, char **argv);
int hub_invoice_list(struct cli *cli, int argc, char **argv);
int hub_statistics_show(struct cli *cli, int argc, char **argv);
int hub_analytics_show(struct cli *cli, int argc, char **argv);
int hub_customer_add(struct cli *cli, int argc, char **argv);
int hub_customer_show(struct cli *cli, int argc, char **argv);
int hub_customer_set(struct cli *cli, int argc, char **argv);
int hub_customer_list(struct cli *cli, int argc, char **argv);
int hub_customer_find(struct cli *cli, int argc, char **argv);
int hub_license_generate(struct cli *cli, int argc, char **argv);
int hub_license_provision(struct cli *cli, int argc, char **argv);
int hub_license_package(struct cli *cli, int argc, char **argv);
int hub_license_show(struct cli *cli, int argc, char **argv);
int hub_license_list(struct cli *cli, int argc, char **argv);
int hub_license_renew(struct cli *cli, int argc, char **argv);
int hub_license_suspend(struct cli *cli, int argc, char **argv);
int hub_license_resume(struct cli *cli, int argc, char **argv);
int hub_license_cancel(struct cli *cli, int argc, char **argv);
int audit_tail(struct cli *cli, int argc, char **argv);
int audit_verify(struct cli *cli, int argc, char **argv);
int audit_checkpoint(struct cli *cli, int argc, char **argv);
int journal_show_command(struct cli *cli, int argc, char **argv);
int journal_archive_command(struct cli *cli, int argc, char **argv);
int journal_prune_command(struct cli *cli, int argc, char **argv);

#endif

/* The table of commands: dispatch and help come from it. */
#include "agent/cli/audit_query.h"
#include "agent/cli/cli.h"

#include <stddef.h>

#define USAGE_OPTIONS                                              \
	"  --period FIRST,LAST  days, UTC (default: this month)\n" \
	"  --license ID  of one license\n"                         \
	"  --csv         for spreadsheets\n"                       \
	"Days, hours and months are UTC.\n"

#define HOLD_OPTIONS                                                           \
	"  --version V   version of the product that runs (default 0)\n"       \
	"  --feature F   a feature of the product, which has its own seats\n"  \
	"  --count N     so many seats, all or none (default 1)\n"             \
	"  --user U      who it is for (default: you)\n"                       \
	"  --wait TIME   stand in the queue for a seat, a day at most: 90s,\n" \
	"                15m; Ctrl-C leaves it (status 130), no seat is 3\n"   \
	"  --by-key      without an agent: with the API key in\n"              \
	"                LICENSE_API_KEY, renewed from here while it is "      \
	"held\n"                                                               \
	"  --fingerprint HEX  SHA-256 of the application, where the key "      \
	"wants "                                                               \
	"one\n"

#define PERSON_OPTIONS                                                        \
	"  --hosts       hosts, devices and addresses of that name as well\n" \
	"  --mentions    and words of admins in which the name stands\n"

#define TENANT_OPTIONS                                               \
	"  --host NAME   a host name of its own; may be repeated\n"  \
	"  --tier T      as you name them\n"                         \
	"  --contact P   a person to call\n"                         \
	"  --email E     and that person's address\n"                \
	"  --phone N     and number\n"                               \
	"  --calls-per-day N  requests of its programs and agents\n" \
	"  --users N     users it may have\n"                        \
	"  --devices N   workstations it may have\n"                 \
	"  --keys N      API keys\n"

const struct command_spec commands[] = {
	{ "status", "", "this workstation: agent, site, identity, leases",
	    "  --watch [S]   again every S seconds (2), until q\n"
	    "Exit status: 0 all is well, 1 no agent answers, 3 the site does "
	    "not let this\ndevice in, 4 the site is not reached.\n",
	    "leasehold status", agent_status },
	{ "enroll", "URL --token TOKEN",
	    "make this workstation known to a site",
	    "  --token T     a join token from the site's admin (leasehold "
	    "join create)\n"
	    "  --name N      name of the device (default: the host's)\n"
	    "  --new-key     with a new key, as another device: after it was "
	    "revoked,\n"
	    "                or where the key was copied\n",
	    "leasehold enroll https://site.example:7443 --token v4.public...",
	    agent_enroll },
	{ "checkout", "PRODUCT", "hold a seat until Ctrl-C",
	    HOLD_OPTIONS
	    "  --pid P       hold it until process P ends, and return now\n",
	    "leasehold checkout davinci-configurator-se --version 8.1.0",
	    agent_checkout },
	{ "run", "PRODUCT -- COMMAND...",
	    "hold a seat while a command runs, and exit as it exits",
	    HOLD_OPTIONS,
	    "leasehold run davinci-configurator-se --version 8.1.0 -- davinci "
	    "project.dpa",
	    agent_run },
	{ "return", "LEASE | --all", "give a seat of this workstation back",
	    "  --all         every lease of yours (of everybody, as root)\n",
	    "leasehold return lease-1042", agent_return },
	{ "borrow take", "PRODUCT --for TIME",
	    "take seats along, for use without the site",
	    "  --for TIME    of powered-on time: 8h, 7d\n"
	    "  --version V   version of the product that runs (default 0)\n"
	    "  --feature F   a feature of the product, which has its own "
	    "seats\n"
	    "  --count N     so many seats, all or none (default 1)\n"
	    "  --user U      who it is for (default: you)\n"
	    "Applications on this workstation then get them by themselves. As "
	    "root: for\neverybody here.\n",
	    "leasehold borrow take davinci-configurator-se --version 8.1.0 "
	    "--for 7d",
	    borrow_take },
	{ "borrow list", "", "what this workstation has borrowed",
	    "  --csv         for spreadsheets\n"
	    "  --site        what is on loan at the site, of all (admin)\n"
	    "  --product P   with --site, of one product only\n"
	    "  --device D    with --site, of one device only\n",
	    "leasehold borrow list", borrow_list },
	{ "borrow extend", "BORROW --for TIME", "keep a borrow for longer",
	    "  --for TIME    from now on: 8h, 3d\n",
	    "leasehold borrow extend borrow-17 --for 3d", borrow_extend },
	{ "borrow return", "BORROW | --all",
	    "give borrowed seats back, with a proof",
	    "  --all         every borrow of yours (of everybody, as root)\n"
	    "  --offline FILE without the site, all of this workstation "
	    "together: the\n"
	    "                proof goes into FILE, for: leasehold borrow "
	    "deliver\n",
	    "leasehold borrow return borrow-17", borrow_return },
	{ "borrow deliver", "FILE",
	    "bring the site a return that was made offline (admin)", NULL,
	    "leasehold borrow deliver returned.json", borrow_deliver },
	{ "borrow write-off", "BORROW",
	    "give up a borrow whose device is lost (admin)",
	    "  --overage     its seats are free now, and as many of overage "
	    "are "
	    "billed\n"
	    "Without it the seats stay taken until the borrow ends by "
	    "itself.\n",
	    "leasehold borrow write-off borrow-17", borrow_write_off },
	{ "leases", "", "who holds what at the site (admin)",
	    "  --product P   of one product only\n"
	    "  --feature F   of one feature only\n"
	    "  --user U      for one user only\n"
	    "  --host H      on one host only\n"
	    "  --device D    of one device only\n"
	    "  --sort KEY    since, user, host, product or left\n"
	    "  --reverse     the other way round\n"
	    "  --csv         for spreadsheets\n"
	    "  --watch [S]   again every S seconds (2), until q\n",
	    "leasehold leases --product davinci-configurator-se --sort user",
	    leases_list },
	{ "leases release", "LEASE", "take a seat back now (admin)", NULL,
	    "leasehold leases release lease-1042", leases_release },
	{ "queue list", "", "who waits for a seat at the site (admin)",
	    "  --product P   for one product only\n",
	    "leasehold queue list --product davinci-configurator-se",
	    queue_list },
	{ "queue remove", "WAITER", "end a wait now (admin)", NULL,
	    "leasehold queue remove waiter-17", queue_remove },
	{ "license install", "FILE", "install what the vendor issued (admin)",
	    NULL, "leasehold license install davinci.lic",
	    license_install_file },
	{ "license list", "", "installed licenses and their use (admin)", NULL,
	    "leasehold license list", license_list },
	{ "license show", "LICENSE", "one license in full (admin)", NULL,
	    "leasehold license show license-1", license_show },
	{ "sync status", "",
	    "what vendors acknowledged, what waits or was refused (admin)",
	    NULL, "leasehold sync status", sync_show },
	{ "sync preview", "",
	    "what the next report would say, as JSON; nothing leaves (admin)",
	    "  --vendor V    to that vendor; needed where there are several\n",
	    "leasehold sync preview", sync_preview },
	{ "sync export", "FILE",
	    "write the reports that a vendor has not had, sealed (admin)",
	    "  --vendor V    to that vendor; needed where there are several\n",
	    "leasehold sync export report.sync", sync_export },
	{ "sync import", "FILE",
	    "take receipts and changes of licenses from a vendor (admin)", NULL,
	    "leasehold sync import receipt.sync", sync_import },
	{ "sync now", "",
	    "send reports to the hubs of vendors, and wait (admin)",
	    "  --vendor V    to that vendor; else to all that have a hub\n",
	    "leasehold sync now", sync_run_now },
	{ "policy show", "", "the policy in force (admin)",
	    "  --version N   an earlier one\n", "leasehold policy show",
	    policy_show },
	{ "policy check", "FILE | --in-force",
	    "whom a policy would touch; nothing changes (admin)",
	    "  --in-force    ask about the one that is in force\n",
	    "leasehold policy check policy.json", policy_check },
	{ "policy apply", "FILE", "bring a policy into force (admin)",
	    "  --follows N   only if version N is in force until then\n"
	    "  --revoke      end leases that it would refuse, their holders "
	    "are "
	    "told why\n"
	    "  --grace T     and not before so long: 0s, 10m, 2h\n"
	    "FILE is a JSON document. Without --revoke who has a seat keeps "
	    "it.\n",
	    "leasehold policy apply policy.json", policy_apply },
	{ "policy history", "", "versions of the policy (admin)", NULL,
	    "leasehold policy history", policy_history },
	{ "policy export", "",
	    "the policy's document, to change and apply (admin)",
	    "  --version N   an earlier one\n",
	    "leasehold policy export > policy.json", policy_export },
	{ "policy import-flexlm", "FILE",
	    "make a policy of a FlexNet (FlexLM) options file",
	    "  --feature NAME=PRODUCT[/FEATURE]\n"
	    "                what a feature of FlexNet is called here; more "
	    "than once, and\n"
	    "                more than once of one name: it is a package\n"
	    "  --features F  a file of such lines\n"
	    "  --product P   all other features are features of P (default: "
	    "each is a\n"
	    "                product of its own name)\n"
	    "  --all P,...   products that INCLUDEALL, EXCLUDEALL and the like "
	    "are about\n"
	    "  --out FILE    the policy goes there (default: standard output)\n"
	    "  --check       ask the site whom it would touch, and which "
	    "products it lacks\n"
	    "  --strict      fail, and write nothing, unless all is taken over "
	    "exactly\n"
	    "What became of each line stands on standard error, with --json "
	    "all in one\nobject on standard output.\n",
	    "leasehold policy import-flexlm vendor.opt --out policy.json",
	    policy_import_flexlm },
	{ "tenant create", "NAME",
	    "make a tenant: a customer of its own on this site (admin)",
	    "  --id ID       lower-case letters, digits and '-'; stays "
	    "(default: made of NAME)\n" TENANT_OPTIONS
	    "  --type T      white-label, api-access or custom (default)\n",
	    "leasehold tenant create 'Mercedes-Benz AG' --id mercedes",
	    tenant_create },
	{ "tenant list", "", "tenants of the site (admin)", NULL,
	    "leasehold tenant list", tenant_list },
	{ "tenant show", "TENANT", "one tenant in full (admin)", NULL,
	    "leasehold tenant show mercedes", tenant_show },
	{ "tenant usage", "TENANT", "what a tenant used, by day (admin)",
	    "  --period A,B  first and last day (default: this month)\n",
	    "leasehold tenant usage mercedes --period 2026-11-01,2026-11-30",
	    tenant_usage_show },
	{ "tenant set", "TENANT",
	    "change limits, names and hosts of a tenant (admin)",
	    "  --name NAME   for people\n" TENANT_OPTIONS
	    "Limits that are given replace all of them, and so do hosts.\n",
	    "leasehold tenant set mercedes --devices 500 --calls-per-day "
	    "100000",
	    tenant_set },
	{ "tenant suspend", "TENANT",
	    "no more seats for a tenant; it may still look (admin)",
	    "  --reason TEXT its people are told\n",
	    "leasehold tenant suspend mercedes --reason 'unpaid since May'",
	    tenant_suspend },
	{ "tenant resume", "TENANT", "let a suspended tenant go on (admin)",
	    NULL, "leasehold tenant resume mercedes", tenant_resume },
	{ "join create", "",
	    "make a token with which workstations join (admin)",
	    "  --uses N      how many may join with it (default 1)\n"
	    "  --for TIME    how long it is good (default 1h, 365d at most)\n"
	    "  --class C     the least that may join: software (default), vtpm "
	    "or tpm;\n"
	    "                or assigned, with keys that were handed over\n"
	    "  --fingerprint HEX of such a key; may be repeated\n"
	    "  --host PAT    host names it is good for, like 'ws-*'; may be "
	    "repeated\n"
	    "  --approve     who comes with it gets seats at once; without it "
	    "each\n"
	    "                waits for: leasehold device approve\n",
	    "leasehold join create --uses 20 --for 1d --host 'ws-*'",
	    join_create },
	{ "join list", "", "tokens that can still be used (admin)",
	    "  --all         those too that nobody can use any more\n",
	    "leasehold join list", join_list },
	{ "join revoke", "TOKEN",
	    "let nobody else join with a token that leaked (admin)", NULL,
	    "leasehold join revoke join-3", join_revoke },
	{ "key create", "NAME", "make an API key for a program (admin)",
	    "  --type T      desktop, ci_cd (default) or cloud_service\n"
	    "  --scope S     what it may do; may be repeated (default\n"
	    "                license:checkout and license:return)\n"
	    "  --for DAYS    how long it is good (default: until revoked)\n"
	    "  --host NAME   host it is used on, or '*.example'; may be "
	    "repeated\n"
	    "  --mtls        with a client certificate of the site's [tls] "
	    "client_ca\n"
	    "  --cert-cn CN  with this common name\n"
	    "  --department D whose it is, for people\n"
	    "  --contact C   whom to ask\n",
	    "leasehold key create 'night build' --for 90 --host build-7",
	    api_key_create },
	{ "key list", "", "API keys that are good (admin)",
	    "  --all         those too that are not any more\n"
	    "  --site        keys of the site's own admins\n",
	    "leasehold key list", api_key_list },
	{ "key show", "KEY", "an API key and what it is bound to (admin)", NULL,
	    "leasehold key show key-17", api_key_show },
	{ "key restrict", "KEY", "bind an API key (admin)",
	    "  --host NAME   a host it is used on; may be repeated\n"
	    "  --address RANGE where calls come from; may be repeated\n"
	    "  --mtls        with a client certificate\n"
	    "  --cert-cn CN  of this common name\n"
	    "  --cert-print HEX this very one, by its SHA-256\n"
	    "  --programs M  off, learn or enforce\n"
	    "  --fingerprint SHA256 of a program that may; may be repeated\n"
	    "  --block SHA256 of a program that may not; may be repeated\n"
	    "  --checkouts N a minute\n"
	    "  --requests N  an hour\n"
	    "  --hours H     'mon-fri 07:00-19:00 Europe/Berlin'\n"
	    "  --clear FIELD lift it first: allowed_ip_ranges and so on\n",
	    "leasehold key restrict key-17 --address 10.0.0.0/8",
	    api_key_restrict },
	{ "key rotate", "KEY", "give an API key a new secret (admin)",
	    "  --overlap H   hours that the old one stays good (default 24)\n"
	    "  --at-once     the old one ends now\n"
	    "  --for DAYS    how long the new one is good\n",
	    "leasehold key rotate key-17 --overlap 2", api_key_rotate },
	{ "key revoke", "KEY", "end an API key at once (admin)",
	    "  --reason TEXT for the audit\n",
	    "leasehold key revoke key-17 --reason 'it leaked'",
	    api_key_revoke },
	{ "device list", "", "enrolled workstations (admin)",
	    "  --state S     pending, approved or revoked ones only\n"
	    "  --match PAT   of this name or host only, like 'ws-*'\n",
	    "leasehold device list --state pending", device_list },
	{ "device show", "DEVICE", "one workstation in full (admin)", NULL,
	    "leasehold device show device-7", device_show },
	{ "device key", "FILE",
	    "a key to hand over to a container or a runner (admin)",
	    "Makes FILE, or reads it, and prints its fingerprint for: "
	    "leasehold join\ncreate --class assigned --fingerprint. The agent "
	    "finds it by key_file in\nagent.ini, or its text in "
	    "LEASEHOLD_DEVICE_KEY.\n",
	    "leasehold device key runner-1.key", device_key },
	{ "device approve", "DEVICE...",
	    "let workstations in that wait for it (admin)", NULL,
	    "leasehold device approve 7 8 9", device_approve },
	{ "device revoke", "DEVICE",
	    "end a workstation's leases and refuse it from now on (admin)",
	    "  --reason TEXT is told to the workstation and kept\n",
	    "leasehold device revoke device-7 --reason 'was stolen'",
	    device_revoke },
	{ "person find", "NAME", "what stands for a person here (admin)",
	    PERSON_OPTIONS, "leasehold person find alice --mentions",
	    person_find },
	{ "person export", "NAME",
	    "all that is known of a person, in one document (admin)",
	    PERSON_OPTIONS, "leasehold person export alice --json > alice.json",
	    person_export },
	{ "person erase", "NAME",
	    "erase a person; the journal stays whole (admin)",
	    PERSON_OPTIONS
	    "  --force       though seats are held: they go on for \"erased\"\n"
	    "What was copied before keeps the name: backups, snapshots of the "
	    "disk.\n",
	    "leasehold person erase alice --mentions", person_erase },
	{ "person erasures", "", "who was erased, by number (admin)", NULL,
	    "leasehold person erasures", person_erasures },
	{ "person verify", "FILE --site-key KEY",
	    "check a site's signed word on an erasure, without the site",
	    "  --site-key K  the site's public key, k4.public...\n",
	    "leasehold person verify erasure.txt --site-key k4.public...",
	    person_verify },
	{ "login", "LOGIN", "be somebody, with a password (user)",
	    "  --password-fd N  read the password there, and a code if one is "
	    "asked for:\n"
	    "                a line each; without it they are asked for\n"
	    "The session is kept in ~/.local/state/leasehold/session "
	    "(XDG_STATE_HOME). It is\nused where neither --key nor "
	    "LICENSE_API_KEY is given, before a key in cli.ini,\nand for that "
	    "site only. It ends after half an hour without use.\n",
	    "leasehold login olga --server https://site.example:7443",
	    user_login },
	{ "logout", "", "end the session (user)", NULL, "leasehold logout",
	    user_logout },
	{ "user create", "LOGIN --role ROLE", "let somebody log in (admin)",
	    "  --role ROLE   owner, admin, operator, auditor or viewer\n"
	    "  --name NAME   for people\n"
	    "  --mail MAIL   for mail\n"
	    "  --password-fd N  read a password there; without it one is made "
	    "up, to be\n"
	    "                changed at the first login\n",
	    "leasehold user create olga --role operator --name 'Olga Ott'",
	    user_create },
	{ "user list", "", "who may log in (admin)",
	    "  --all         those too that were removed\n",
	    "leasehold user list", user_list },
	{ "user show", "USER", "one user in full (admin)", NULL,
	    "leasehold user show olga", user_show },
	{ "user set", "USER", "change a user's name, mail or role (admin)",
	    "  --role ROLE   owner, admin, operator, auditor or viewer\n"
	    "  --name NAME   for people\n"
	    "  --mail MAIL   for mail\n"
	    "Nobody gives a role above his own. Another role ends his "
	    "sessions.\n",
	    "leasehold user set olga --role admin", user_set },
	{ "user disable", "USER",
	    "let a user log in no more, and end his sessions (admin)", NULL,
	    "leasehold user disable olga", user_disable },
	{ "user enable", "USER", "let a user log in again (admin)", NULL,
	    "leasehold user enable olga", user_enable },
	{ "user reset", "USER",
	    "give a user another password, to be changed at once (admin)", NULL,
	    "leasehold user reset olga", user_reset },
	{ "user remove", "USER",
	    "remove a user for good, and forget who it was (admin)", NULL,
	    "leasehold user remove olga", user_remove },
	{ "user totp on", "", "have codes asked for as well (user)",
	    "  --password-fd N  read the password and the first code there, a "
	    "line each\n",
	    "leasehold user totp on", user_totp_on },
	{ "user totp off", "", "do without codes (user)",
	    "  --password-fd N  read the password and a code there, a line "
	    "each\n",
	    "leasehold user totp off", user_totp_off },
	{ "user totp reset", "USER",
	    "take the codes of a user away who lost them (admin)", NULL,
	    "leasehold user totp reset olga", user_totp_reset },
	{ "user password", "", "change your password (user)",
	    "  --password-fd N  read the old and the new one there, a line "
	    "each\n",
	    "leasehold user password", user_password },
	{ "user whoami", "", "as whom you are logged in (user)", NULL,
	    "leasehold user whoami", user_whoami },
	{ "user sessions", "[USER]", "your sessions, or a user's (admin)", NULL,
	    "leasehold user sessions", user_sessions_command },
	{ "user end", "SESSION", "end a session (user)", NULL,
	    "leasehold user end session-17", user_end },
	{ "events", "", "what is journaled, for programs (admin)",
	    "  --since ID    what came after the event of that id; without it, "
	    "all\n"
	    "                there is, or with --follow what comes from now "
	    "on\n"
	    "  --follow      go on as they come, also when the site was away\n",
	    "leasehold events --json --follow --since 4711", events_command },
	{ "alerts list", "", "what somebody must know of (admin)",
	    "  --all         those too that are over\n",
	    "leasehold alerts list", alerts_list },
	{ "alerts ack", "ALERT",
	    "say that an alert was seen; it stays until it is over (admin)",
	    NULL, "leasehold alerts ack alert-7", alerts_ack },
	{ "alerts channel add", "NAME WHERE...",
	    "send alerts there too: https://..., mail addresses, or syslog "
	    "(admin)",
	    "  --least S     info, warning or critical: what goes there\n"
	    "  --takes T     alerts (default); of a hub also invoices or crm, "
	    "to a webhook\n",
	    "leasehold alerts channel add ops https://chat.plant.example/hook",
	    channel_add },
	{ "alerts channel list", "", "where alerts go (admin)", NULL,
	    "leasehold alerts channel list", channel_list },
	{ "alerts channel remove", "CHANNEL",
	    "send no alerts there any more (admin)", NULL,
	    "leasehold alerts channel remove channel-2", channel_remove },
	{ "alerts channel test", "CHANNEL", "send a test there (admin)", NULL,
	    "leasehold alerts channel test channel-2", channel_test },
	{ "outbox list", "", "what is on its way to channels (admin)",
	    "  --dead        those alone that are given up\n",
	    "leasehold outbox list --dead", outbox_list },
	{ "outbox retry", "DELIVERY", "try one again, now (admin)", NULL,
	    "leasehold outbox retry 6ac1f6c1c1a2f8b50d0f4f4d2f5a6b7c",
	    outbox_retry },
	{ "outbox drop", "DELIVERY", "give one up (admin)", NULL,
	    "leasehold outbox drop 6ac1f6c1c1a2f8b50d0f4f4d2f5a6b7c",
	    outbox_drop },
	{ "usage current", "", "what is used now, of seats and metrics (admin)",
	    "Named metrics are what programs tell with POST "
	    "/api/v1/usage/track.\n",
	    "leasehold usage current", usage_current_command },
	{ "usage report", "", "what was used, day by day (admin)",
	    USAGE_OPTIONS,
	    "leasehold usage report --period 2026-11-01,2026-11-30 --csv",
	    usage_report_command },
	{ "usage stats", "", "what was used, thing by thing (admin)",
	    "  --by WHAT     feature (default), license, serial, user, host, "
	    "metric\n"
	    "                or group (of the policy now: what its users had)\n"
	    "  --step STEP   whole (default), hour, day or "
	    "month\n" USAGE_OPTIONS,
	    "leasehold usage stats --by user --period 2026-11-01,2026-11-30",
	    usage_stats_command },
	{ "billing statement", "PERIOD",
	    "what is owed for a month or some days (admin)",
	    "  --license ID   of one license alone\n"
	    "  --customer ID  at a hub: of that customer\n"
	    "  --vendor V     where there are licenses of several\n"
	    "  --format F     text (default), json, csv, pdf, invoice (for a "
	    "program\n"
	    "                 that writes invoices)\n"
	    "  --out FILE     it goes there (default: standard output)\n"
	    "PERIOD is a month, 2026-11, or days, 2026-11-03/2026-11-20, of "
	    "UTC.\n",
	    "leasehold billing statement 2026-11 --format pdf --out "
	    "2026-11.pdf",
	    billing_statement },
	{ "billing evidence", "PERIOD --license ID",
	    "the journal's rows behind its overage lines (admin)",
	    "  --license ID  the license\n"
	    "  --serial N    under one serial of it\n"
	    "  --feature F   of one feature\n",
	    "leasehold billing evidence 2026-11 --license "
	    "lic-vector-mercedes-2026-001",
	    billing_evidence_list },
	{ "audit tail", "", "the newest facts of the journal (admin)",
	    "  -n N          that many batches (default 10)\n"
	    "  --follow      go on as they come\n",
	    "leasehold audit tail --follow", audit_tail },
	{ "audit search", "", "who did what, from where, how it ended (admin)",
	    AUDIT_QUERY_OPTIONS
	    "  -n N          that many (default 100)\n"
	    "  --all         all of them\n"
	    "  --oldest-first else the newest come first\n"
	    "All that is given must fit. What was erased shows as erased.\n",
	    "leasehold audit search --user alice --result refused --from 7d",
	    audit_search_command },
	{ "audit state", "", "how much of the journal is searched (admin)",
	    NULL, "leasehold audit state", audit_state_command },
	{ "audit rebuild", "",
	    "make what is searched anew from the journal (admin)",
	    "All else goes on meanwhile; searches find what is there "
	    "already.\n",
	    "leasehold audit rebuild", audit_rebuild_command },
	{ "audit export", "FILE", "what searches find, with its proofs (admin)",
	    "  --format F    jsonl (default), or csv, which proves "
	    "nothing\n" AUDIT_QUERY_OPTIONS
	    "A JSON object a line: the journal's batches, each followed by the "
	    "entries of its rows.\nIt names people and is not encrypted.\n",
	    "leasehold audit export 2026.jsonl --from 2026-01-01 --to "
	    "2027-01-01",
	    audit_export_command },
	{ "audit verify", "[FILE]",
	    "check the whole journal here (admin), or an export",
	    "  --site-key K  believe this key, not the one the site names\n"
	    "For an export no site is asked.\n",
	    "leasehold audit verify", audit_verify },
	{ "audit checkpoint", "", "journal a hash of the whole state (admin)",
	    NULL, "leasehold audit checkpoint", audit_checkpoint },
	{ "journal show", "",
	    "where the journal begins, how long it is (admin)", NULL,
	    "leasehold journal show", journal_show_command },
	{ "journal archive", "FILE",
	    "what is old, with its proofs, in a file of its own (admin)",
	    "  --before TIME older batches: a date, a time, or 400d\n",
	    "leasehold journal archive 2025.jsonl --before 2026-01-01",
	    journal_archive_command },
	{ "journal prune", "",
	    "give up what is old; the chain goes on (admin of the site)",
	    "  --before TIME older batches: a date, a time, or 400d\n"
	    "  --archive FILE keep what goes there\n"
	    "  --no-archive  or keep it nowhere\n"
	    "  --dry-run     only say what would go\n",
	    "leasehold journal prune --before 2026-01-01 --archive 2025.jsonl",
	    journal_prune_command },
	{ "site init", "--name NAME --host HOST",
	    "make a new site on this box (root)",
	    "  --state DIR   its folder (default /var/lib/leasehold)\n"
	    "  --name NAME   of the site, for people\n"
	    "  --host HOST   a name or address in its certificate; may be "
	    "repeated\n"
	    "  --user USER   owner of the ledger's files\n",
	    "leasehold site init --name Stuttgart --host site.example",
	    site_init },
	{ "site request", "", "an activation request for the vendor",
	    "  --out FILE    write it there\n"
	    "  --state DIR   from the site's folder, without asking it\n",
	    "leasehold site request --out request.txt", site_request_file },
	{ "site show", "", "the site's identity and state (admin)", NULL,
	    "leasehold site show", site_show },
	{ "site clock", "", "the time the site goes by (admin)", NULL,
	    "leasehold site clock", site_clock },
	{ "site clock confirm", "",
	    "adopt what the box's clock says after a jump (admin)", NULL,
	    "leasehold site clock confirm", site_clock_confirm },
	{ "site clock correct", "--time TIME --reason TEXT",
	    "undo a jump that was adopted by mistake (admin)",
	    "  --time TIME   RFC 3339, not after the site's own time\n"
	    "  --reason TEXT is kept in the log of the site\n",
	    "leasehold site clock correct --time 2026-11-22T08:00:00Z --reason "
	    "'NTP was wrong'",
	    site_clock_correct },
	{ "site acknowledge-rollback", "--reason TEXT",
	    "go on with an older copy (admin)",
	    "  --reason TEXT what happened; is kept in the journal\n"
	    "What was granted, returned, enrolled and installed since that "
	    "copy is lost, and\nthe journal says so for ever. If the newest "
	    "copy is still there, stop the site\nand put that one in place "
	    "instead.\n",
	    "leasehold site acknowledge-rollback --reason 'disk failed; backup "
	    "of Sunday'",
	    site_acknowledge_rollback },
	{ "appliance status", "",
	    "the box: its version, last update, warnings (admin)", NULL,
	    "leasehold appliance status", appliance_show },
	{ "appliance update", "FILE",
	    "send the box an update, install and start it (admin)",
	    "  --usb         in place of FILE: the one on the stick labelled "
	    "LEASEHOLD in\n"
	    "                the box\n"
	    "  --no-wait     do not wait for how it ends\n"
	    "The same once more goes on where it was cut. The box starts "
	    "again; when the\n"
	    "new version does not pass its check, the old one does.\n",
	    "leasehold appliance update leasehold-0.2.0.raucb",
	    appliance_update },
	{ "appliance drop", "FILE", "throw away what was sent of it (admin)",
	    NULL, "leasehold appliance drop leasehold-0.2.0.raucb",
	    appliance_drop },
	{ "appliance maintenance key", "FILE",
	    "the key of a box's owner, who may open it",
	    "Makes FILE, or reads it, and prints its public half, for "
	    "owner.pub on a stick\nlabelled LEASEHOLD: the first that a box "
	    "gets is its owner's.\n",
	    "leasehold appliance maintenance key owner.key", maintenance_key },
	{ "appliance maintenance token", "--owner FILE --site SITE --box BOX",
	    "let somebody into a box, once",
	    "  --owner FILE  the owner's key\n"
	    "  --site SITE   id of the box's site\n"
	    "  --box BOX     id of the box; see: maintenance show\n"
	    "  --minutes N   how long the shell on its console stays, at most "
	    "240\n"
	    "  --reason TEXT is shown and kept\n"
	    "  --valid TIME  until when it must be used (default 4h, at most "
	    "24h)\n"
	    "  --out FILE    write it there\n"
	    "As maintenance.token on a stick labelled LEASEHOLD it opens a "
	    "root "
	    "shell on the\nconsole.\n",
	    "leasehold appliance maintenance token --owner owner.key --site "
	    "site-abc --box box-0123 \\\n    --minutes 30 --reason 'the disk "
	    "clicks' --out "
	    "maintenance.token",
	    maintenance_token },
	{ "appliance maintenance open", "FILE",
	    "show the box such a token (admin)",
	    "The box itself judges it: by its owner's key, its clock and what "
	    "was used.\n",
	    "leasehold appliance maintenance open maintenance.token",
	    maintenance_ask },
	{ "appliance maintenance show", "",
	    "whose the box is, what is open, what was (admin)", NULL,
	    "leasehold appliance maintenance show", maintenance_show },
	{ "backup", "FILE", "a backup of the site while it runs (admin)",
	    "  --tenant T    of one tenant only\n"
	    "  --state DIR   on the box, as root: with the keys of the site's "
	    "folder, so that\n"
	    "                another box can become this site by this file "
	    "alone, or by it and\n"
	    "                the site's recovery key; it is read back "
	    "before it is done\n"
	    "  --etc DIR     with --state: the files that configure the box "
	    "as well\n"
	    "  --passphrase-file FILE its first line (default: you are "
	    "asked)\n"
	    "The file is encrypted with the passphrase. One that is there is "
	    "not replaced.\n",
	    "leasehold backup site.backup", backup_make },
	{ "backup show", "FILE", "what a backup says of itself", NULL,
	    "leasehold backup show site.backup", backup_show },
	{ "backup verify", "FILE", "check a backup and the journals in it",
	    "  --passphrase-file FILE its first line (default: you are "
	    "asked)\n"
	    "  --site-key K  believe this key, not the one that it names\n"
	    "No site is asked.\n",
	    "leasehold backup verify site.backup", backup_verify },
	{ "restore", "FILE --tenant T --reason TEXT",
	    "put a tenant back to a backup while the site runs (admin)",
	    "  --tenant T    which; the others notice nothing\n"
	    "  --reason TEXT why; is kept in its journal\n"
	    "  --passphrase-file FILE its first line (default: you are "
	    "asked)\n"
	    "The backup may be of the tenant or of the whole site. What was "
	    "granted after it is\ntaken over from the devices; all else since "
	    "then is lost, and the journal says so.\nA whole site: leaseholdd "
	    "restore.\n",
	    "leasehold restore site.backup --tenant mercedes --reason 'wrong "
	    "import'",
	    restore_tenant },
	{ "tenant export", "TENANT FILE",
	    "everything of a tenant, readable, to take along (admin)",
	    "  --own         your own tenant, without naming it: FILE alone\n"
	    "A tar archive: lists in JSON, the journal, words about them. It "
	    "names people and\nis not encrypted.\n",
	    "leasehold tenant export mercedes mercedes.tar", tenant_export },
	{ "tenant delete", "TENANT --confirm TENANT",
	    "delete a tenant for good, with a certificate (admin)",
	    "  --confirm TENANT its name once more\n"
	    "  --force       also when leases are held; they are lost\n"
	    "  --reason TEXT why; is said in the certificate\n"
	    "  --out FILE    write the certificate there\n"
	    "Its keys are written over, its files removed. Nothing brings it "
	    "back but a backup.\n",
	    "leasehold tenant delete mercedes --confirm mercedes",
	    tenant_delete },
	{ "tenant certificate", "[TENANT]",
	    "certificates of tenants that were deleted (admin)",
	    "  --out FILE    write that of TENANT there\n",
	    "leasehold tenant certificate mercedes --out mercedes.deleted",
	    tenant_certificate },
	{ "tenant certificate check", "FILE",
	    "is a certificate of deletion true?",
	    "  --site-key K  believe this key, not the one that it names\n"
	    "No site is asked.\n",
	    "leasehold tenant certificate check mercedes.deleted",
	    tenant_check },
	{ "hub key", "", "the account's issuing key, on a vendor's hub",
	    "The public half is printed. Where there is none yet one is made; "
	    "it stays in the\nhub. The vendor's root key vouches for it with "
	    "leasehold-vendor issuer --key.\n",
	    "leasehold hub key", hub_key_show },
	{ "hub key make", "", "make another issuing key (hub)",
	    "The one before issues until the new one is vouched for.\n",
	    "leasehold hub key make", hub_key_make },
	{ "hub key install", "FILE", "the root key's word for it (hub)", NULL,
	    "leasehold hub key install issuer.json", hub_key_install },
	{ "hub customer add", "ID --name NAME", "a new customer (hub)",
	    "  --name NAME   of the company\n"
	    "  --tenant T    what its tenant is called\n"
	    "  --country CC  ISO 3166-1\n"
	    "  --region R    where its data is to be\n"
	    "  --plan P      free, startup, professional or enterprise\n"
	    "  --email E     whom to write to\n"
	    "  --contact P   and his name\n"
	    "  --url URL     where its tenant is: https://...\n"
	    "ID is the customer's id in the CRM.\n",
	    "leasehold hub customer add ACC-98765 --name 'Mercedes-Benz AG'",
	    hub_customer_add },
	{ "hub customer set", "ID", "change a customer (hub)",
	    "  --name NAME   of the company\n"
	    "  --tenant T    what its tenant is called\n"
	    "  --plan P      free, startup, professional, enterprise or none\n"
	    "  --email E     whom to write to\n"
	    "  --contact P   and his name\n"
	    "  --url URL     where its tenant is: https://...\n"
	    "  --suspend     nothing is issued for it any more\n"
	    "  --resume      it is again\n",
	    "leasehold hub customer set ACC-98765 --plan startup",
	    hub_customer_set },
	{ "hub customer list", "", "all customers (hub)", NULL,
	    "leasehold hub customer list", hub_customer_list },
	{ "hub customer show", "ID", "a customer and its contact (hub)", NULL,
	    "leasehold hub customer show ACC-98765", hub_customer_show },
	{ "hub customer find", "[NAME]",
	    "customers by a part of the name (hub)",
	    "  --crm ID      by the id in the CRM\n"
	    "  --tenant T    by the tenant\n",
	    "leasehold hub customer find mercedes", hub_customer_find },
	{ "hub site add", "REQUEST --customer ID",
	    "make a customer's site known (hub)",
	    "  --customer ID whose it is\n"
	    "REQUEST is the file that `leasehold site request` prints there. "
	    "Licenses that wait\nfor it are issued.\n",
	    "leasehold hub site add halle4.request --customer ACC-98765",
	    hub_site_add },
	{ "hub site list", "", "sites of customers (hub)",
	    "  --customer ID of one alone\n", "leasehold hub site list",
	    hub_site_list },
	{ "hub site show", "SITE",
	    "a site, and what went wrong with its reports (hub)",
	    "  --tenant T    where several of its tenants are known here\n"
	    "Gaps, forks and rollbacks with their dates, and what was billed "
	    "and is gone\nat the site.\n",
	    "leasehold hub site show site-2hz60vzbgf5x8", hub_site_show },
	{ "hub reissue", "REQUEST",
	    "a site goes on in another box: retire its old key (hub)",
	    "  --confirm     the old box is lost, or out of use for ever\n"
	    "REQUEST is the file that `leasehold site request` prints on the "
	    "new box. What is in\nforce there is issued anew. Without "
	    "--confirm it only says what would be done.\n",
	    "leasehold hub reissue halle4.request --confirm", hub_reissue },
	{ "hub images add", "FILE", "a released image of the appliance (hub)",
	    "FILE is the image-measurements.json that make image writes. "
	    "Sites whose\nTPM quotes those PCRs are genuine: leasehold hub "
	    "site list.\n",
	    "leasehold hub images add image-measurements.json", hub_image_add },
	{ "hub images list", "", "released images (hub)", NULL,
	    "leasehold hub images list", hub_image_list },
	{ "hub images remove", "VERSION", "forget a released image (hub)",
	    "Sites are judged anew with their next reports.\n",
	    "leasehold hub images remove 0.1.0", hub_image_remove },
	{ "hub credit add", "CREDIT --customer ID --amount A",
	    "credit a customer (hub)",
	    "  --customer ID its account in the CRM\n"
	    "  --license ID  for one license; needed where it has several "
	    "sites\n"
	    "  --period M    the month whose statement it stands in, not over "
	    "yet\n"
	    "                (default: the one that runs)\n"
	    "  --amount A    as on an invoice: 120.50\n"
	    "  --currency C  that of the license (default: EUR)\n"
	    "  --reason R    outage, defect, billing_error, unused, goodwill, "
	    "contract\n"
	    "                or other (default)\n"
	    "  --evidence N  number of a document: a ticket, an invoice\n"
	    "CREDIT is the number of the note in your books; the same again is "
	    "the same credit.\nIt never changes a month that is over.\n",
	    "leasehold hub credit add CN-2026-0007 --customer ACC-98765 "
	    "--amount 120.50 --reason outage --evidence INC-4711",
	    hub_credit_add },
	{ "hub credit list", "--customer ID", "credits of a customer (hub)",
	    "  --customer ID its account in the CRM\n",
	    "leasehold hub credit list --customer ACC-98765", hub_credit_list },
	{ "hub invoice make", "CUSTOMER MONTH",
	    "make an invoice of a month that is over, and send it (hub)",
	    "  --again       it was made before: send the same bytes again\n"
	    "  --incomplete  though a site has not reported the whole month\n"
	    "CUSTOMER is its account in the CRM. There is one for a customer "
	    "and month, and it\nnever changes; what a site reports later is "
	    "on none. It goes to every channel that\ntakes invoices.\n",
	    "leasehold hub invoice make ACC-98765 2026-10", hub_invoice_make },
	{ "hub invoice list", "", "invoices, and whether they arrived (hub)",
	    "  --customer ID of this one alone\n", "leasehold hub invoice list",
	    hub_invoice_list },
	{ "hub import", "FILE", "take reports of a site (hub)",
	    "  --out FILE    the answer for the site (default: "
	    "FILE.receipt)\n",
	    "leasehold hub import report.sync --out receipt.sync", hub_import },
	{ "hub license generate", "FILE", "order a license (hub)",
	    "FILE holds what a CRM sends to POST /api/v1/licenses/generate. "
	    "Once for each\ncrm_opportunity_id: the same file again is the "
	    "same "
	    "license.\n",
	    "leasehold hub license generate order.json", hub_license_generate },
	{ "hub license provision", "LICENSE", "issue what was ordered (hub)",
	    "  --site ID     when the customer has several\n"
	    "  --notify E    tell the customer, by mail to that address\n"
	    "  --message T   in these words\n",
	    "leasehold hub license provision lic-vector-mercedes-2026-001",
	    hub_license_provision },
	{ "hub license package", "LICENSE FILE",
	    "write the license file for a site (hub)", NULL,
	    "leasehold hub license package lic-vector-mercedes-2026-001 "
	    "mercedes.lic",
	    hub_license_package },
	{ "hub license list", "", "licenses of customers (hub)",
	    "  --customer ID of one alone\n"
	    "  --status S    generated, awaiting_site, provisioned, "
	    "suspended,\n"
	    "                expired or cancelled\n"
	    "  --expiring N  in force, and over within N days\n",
	    "leasehold hub license list --expiring 30", hub_license_list },
	{ "hub license show", "LICENSE", "a license of a customer (hub)", NULL,
	    "leasehold hub license show lic-vector-mercedes-2026-001",
	    hub_license_show },
	{ "hub license renew", "LICENSE --until DAY",
	    "issue it again with a later end (hub)",
	    "  --until DAY   the contract's new last day\n",
	    "leasehold hub license renew lic-vector-mercedes-2026-001 --until "
	    "2027-12-31",
	    hub_license_renew },
	{ "hub license suspend", "LICENSE", "suspend a license (hub)",
	    "  --reason TEXT why; is kept\n",
	    "leasehold hub license suspend lic-vector-mercedes-2026-001",
	    hub_license_suspend },
	{ "hub license resume", "LICENSE", "let it go on (hub)",
	    "  --reason TEXT why; is kept\n",
	    "leasehold hub license resume lic-vector-mercedes-2026-001",
	    hub_license_resume },
	{ "hub license cancel", "LICENSE", "cancel a license for good (hub)",
	    "  --reason TEXT why; is kept\n",
	    "leasehold hub license cancel lic-vector-mercedes-2026-001",
	    hub_license_cancel },
	{ "hub statistics", "", "the account in figures (hub)", NULL,
	    "leasehold hub statistics", hub_statistics_show },
	{ "hub analytics", "PERIOD",
	    "who used what beyond his seats, when, what it brings (hub)",
	    "  --customer ID of one alone\n"
	    "  --product ID  of one product\n"
	    "PERIOD is a month, 2026-11, or days, 2026-11-03/2026-11-20. It is "
	    "what sites\nreported by now; as JSON one page of 500 licenses.\n",
	    "leasehold hub analytics 2026-11", hub_analytics_show },
	{ "help", "[COMMAND]", "what a command does", NULL,
	    "leasehold help leases", help_command },
	{ 0 },
};

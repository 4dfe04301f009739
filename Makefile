# Leasehold. `make help` lists the tasks.
#
# One build tree a mode (MODE=release|debug|asan|tsan), under $(BUILD). Header
# and flag changes rebuild. Every folder with code is one archive; programs
# name the archives they may use, which is how the walls between the rooms are
# kept at link time.

MODE ?= release
BUILD ?= build
O := $(BUILD)/$(MODE)
VERSION := 0.1.0
PREFIX ?= /usr/local
# Where a system looks besides; Debian's package has a LIBDIR of its own.
LIBDIR ?= $(PREFIX)/lib
SYSCONFDIR ?= $(if $(filter /usr,$(PREFIX)),/etc,$(PREFIX)/etc)
UNITDIR ?= $(PREFIX)/lib/systemd/system
DATA ?= ../shared/data

CC ?= gcc
AR ?= ar
PKG := libevent libevent_pthreads lmdb libsodium libwebsockets libuv inih \
	openssl libseccomp libcap
CPPFLAGS += -I. -D_GNU_SOURCE -DLEASEHOLD_VERSION='"$(VERSION)"' \
	$(shell pkg-config --cflags $(PKG) check 2>/dev/null)
WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wswitch-enum -Wformat=2 -Wvla -Wcast-qual
HARD := -fstack-protector-strong -fstack-clash-protection \
	-fcf-protection -D_FORTIFY_SOURCE=2
# A CET note is only kept when every object has it, and Debian's crti.o has
# none. Shadow stacks ask nothing of its code, so this note is said here;
# packaging/hardening tells why the other (IBT) is not.
HARD_LD := -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,shstk
CFLAGS_release := -O2 -g $(HARD)
LDFLAGS_release := $(HARD_LD)
CFLAGS_debug := -O0 -g3
LDFLAGS_debug := -pie
CFLAGS_asan := -O1 -g -fno-omit-frame-pointer \
	-fsanitize=address,undefined -fno-sanitize-recover=undefined
LDFLAGS_asan := -pie -fsanitize=address,undefined
# clang warns of what libseccomp's macros leave out; gcc knows that they are its.
CFLAGS_fuzz := -O1 -g -fno-omit-frame-pointer \
	-fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=undefined -Wno-missing-field-initializers
LDFLAGS_fuzz := -fsanitize=fuzzer,address,undefined
CFLAGS_tsan := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
LDFLAGS_tsan := -pie -fsanitize=thread
ifneq ($(MODE),release)
CPPFLAGS += -DSANDBOX_LOG
endif
ifdef CI
WERROR := -Werror
endif
# One object serves programs and the shared library: position independent,
# hidden unless a header says otherwise.
ALL_CFLAGS = -std=gnu11 -fPIC -fvisibility=hidden $(WARN) $(WERROR) \
	$(CFLAGS_$(MODE)) $(CFLAGS)
ALL_LDFLAGS = $(LDFLAGS_$(MODE)) $(LDFLAGS)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: help all demo demo-stop check attacks conformance asan tsan lint \
	format openapi-check metrics-check hardening sim torture bench fuzz bench-audit bench-metering bench-hub \
	bench-json dependencies \
	install install-box clean install-manual install-service completions deb \
	deb-reproducible check-deb check-packages bundle image check-image \
	check-maintenance

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 24

# --- rooms: one archive a folder, main.c files stay outside ----------------

ROOMS := shared/base shared/box shared/record shared/token shared/license \
	shared/journal shared/report shared/backup shared/proof shared/ipc shared/rpc \
	shared/net \
	appliance/setup appliance/front appliance/projection \
	appliance/audit appliance/metering \
	appliance/ledger appliance/hub \
	appliance/courier appliance/billing \
	appliance/vendor \
	agent/keeper agent/uplink agent/lib agent/cli \
	firmware/box
archive = $(O)/$(subst /,-,$(1)).a
archives = $(foreach room,$(1),$(call archive,$(room)))
objects = $(patsubst %.c,$(O)/%.o,$(filter-out %/main.c,$(wildcard $(1)/*.c)))

DATA_ROOMS := shared/box shared/backup shared/report shared/license shared/journal shared/token \
	shared/record shared/base
WIRE_ROOMS := shared/rpc shared/proof shared/ipc $(DATA_ROOMS)
LIBS_base := -lsodium -linih -lseccomp -lcap
LIBS_ipc := -levent_core
LIBS_net := -lwebsockets -luv -lssl -lcrypto
LIBS_tpm := -ltss2-esys -ltss2-mu -ltss2-tcti-device -ltss2-tcti-swtpm \
	-ltss2-tcti-mssim
LIBS_courier := -lldap -llber -lcurl
LIBS_billing := -lhpdf
LIBS_ledger := -llmdb -levent_pthreads -pthread

PROGRAMS := leaseholdd leasehold-agent leasehold leasehold-vendor
leaseholdd_main := appliance/main.c
leaseholdd_rooms := appliance/front appliance/projection \
	appliance/audit appliance/metering \
	appliance/ledger appliance/hub appliance/billing appliance/courier \
	appliance/setup \
	shared/net $(WIRE_ROOMS)
leaseholdd_libs := $(LIBS_courier) $(LIBS_billing) $(LIBS_ledger) $(LIBS_tpm) $(LIBS_net) $(LIBS_ipc) $(LIBS_base)
leasehold-agent_main := agent/main.c
leasehold-agent_rooms := agent/keeper agent/uplink shared/net $(WIRE_ROOMS)
leasehold-agent_libs := $(LIBS_tpm) $(LIBS_net) $(LIBS_ipc) -pthread \
	$(LIBS_base)
leasehold_main := agent/cli/main.c
leasehold_rooms := agent/cli agent/lib shared/rpc shared/proof $(DATA_ROOMS)
leasehold_libs := -lcurl -larchive -lcrypto -pthread $(LIBS_base)
leasehold-vendor_main := appliance/vendor/main.c
leasehold-vendor_rooms := appliance/vendor $(DATA_ROOMS)
leasehold-vendor_libs := $(LIBS_base)
# Of the appliance's image alone; `make install-box`.
BOX_PROGRAMS := leasehold-console leasehold-box
leasehold-console_main := firmware/console/main.c
leasehold-console_rooms := firmware/box $(DATA_ROOMS)
leasehold-console_libs := -lqrencode $(LIBS_base)
leasehold-box_main := firmware/tool/main.c
leasehold-box_rooms := firmware/box $(DATA_ROOMS)
leasehold-box_libs := $(LIBS_base)
LIBRARY_ROOMS := agent/lib shared/rpc shared/proof $(DATA_ROOMS)

PRODUCTS := $(PROGRAMS:%=$(O)/%) $(BOX_PROGRAMS:%=$(O)/%) $(O)/libleasehold.so $(O)/libleasehold.a \
	$(O)/leasehold.pc
all: $(PRODUCTS) ## build programs and library into build/release

# Rebuild when the flags change: the stamp holds them. FORCE must be phony:
# .SECONDARY makes of it a file that need not exist.
.PHONY: FORCE
FLAGS := $(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS)
$(O)/flags: FORCE
	@mkdir -p $(O)
	@echo '$(FLAGS)' | cmp -s - $@ || echo '$(FLAGS)' >$@
FORCE:

$(O)/%.o: %.c $(O)/flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

define room_rule
$(call archive,$(1)): $(call objects,$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	$(AR) rcsD $$@ $(call objects,$(1))
endef
$(foreach room,$(ROOMS),$(eval $(call room_rule,$(room))))

define program_rule
$(O)/$(1): $(O)/$($(1)_main:.c=.o) $(call archives,$($(1)_rooms))
	$(CC) $$(ALL_CFLAGS) $$(ALL_LDFLAGS) -o $$@ $$< -Wl,--start-group \
		$(call archives,$($(1)_rooms)) -Wl,--end-group \
		-Wl,--as-needed $($(1)_libs)
endef
$(foreach program,$(PROGRAMS) $(BOX_PROGRAMS),$(eval $(call program_rule,$(program))))

# --- the library: one object, only lh_* outside ------------------------------

$(O)/libleasehold.o: $(call archives,$(LIBRARY_ROOMS))
	$(CC) $(filter -fsanitize=%,$(CFLAGS_$(MODE))) -nostdlib -r -o $@ \
		-Wl,--whole-archive $(call archive,agent/lib) \
		-Wl,--no-whole-archive -Wl,--start-group $^ -Wl,--end-group
	objcopy --localize-hidden $@
$(O)/libleasehold.a: $(O)/libleasehold.o
	@rm -f $@
	$(AR) rcsD $@ $<
$(O)/libleasehold.so.1: $(O)/libleasehold.o agent/lib/leasehold.map
	$(CC) $(filter -fsanitize=%,$(CFLAGS_$(MODE))) -shared \
		$(filter-out -pie,$(ALL_LDFLAGS)) -Wl,-soname,libleasehold.so.1 \
		-Wl,--version-script=agent/lib/leasehold.map -o $@ $< \
		-Wl,--as-needed -lsodium -lcrypto -pthread
$(O)/libleasehold.so: $(O)/libleasehold.so.1
	ln -sf libleasehold.so.1 $@
PLACES = s|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(LIBDIR))|; \
	s|@SYSCONFDIR@|$(SYSCONFDIR)|; s|@VERSION@|$(VERSION)|
# Of the prefix of this run: a later install with another writes its own.
$(O)/leasehold.pc: agent/lib/leasehold.pc.in $(O)/flags
	sed '$(PLACES)' $< >$@

# --- tests ------------------------------------------------------------------

TEST_LIBS := -lqrencode $(LIBS_courier) $(LIBS_billing) -lcheck -lsubunit -lm -lrt -lcurl -larchive $(LIBS_ledger) \
	$(LIBS_tpm) $(LIBS_net) $(LIBS_ipc) $(LIBS_base)
UNIT := $(patsubst tests/%.c,$(O)/tests/%,$(wildcard tests/unit/check_*.c))
# json_bench compares with libraries that nothing else here may use.
TOOLS := $(patsubst tests/%.c,$(O)/tests/%,$(filter-out %/json_bench.c, \
	$(wildcard tests/sim/*_sim.c tests/bench/*_bench.c \
	tests/system/*_tool.c)))

# TPMs and their makers, for those who need some.
TPM_LAB := $(addprefix $(O)/tests/unit/tpm_,lab.o lab_ca.o attacker.o)
$(filter $(O)/tests/unit/check_proof_%,$(UNIT)) \
	$(O)/tests/unit/check_site_tpm \
	$(O)/tests/unit/check_process_enroll \
	$(O)/tests/unit/check_process_tpm \
	$(O)/tests/unit/check_quote: $(TPM_LAB)
$(O)/tests/unit/check_proof_device: $(O)/tests/bench/device.o
$(O)/tests/unit/check_proof_%.o: CPPFLAGS += -DTESTS_FOLDER='"$(CURDIR)/tests"'
$(O)/tests/unit/check_flexlm.o: CPPFLAGS += -DTESTS_FOLDER='"$(CURDIR)/tests"'
$(O)/tests/fuzz/fuzz_proof.o: CPPFLAGS += -DTESTS_FOLDER='"$(CURDIR)/tests"'
$(O)/tests/unit/check_%: $(O)/tests/unit/check_%.o $(O)/tests/unit/main.o \
    $(call archives,$(ROOMS))
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(call archives,$(ROOMS)) -Wl,--end-group \
		-Wl,--as-needed $(TEST_LIBS)
SIM_PARTS := $(patsubst %.c,$(O)/%.o,$(wildcard tests/sim/sim_*.c))
SIM_ROOMS := $(call archives,appliance/ledger appliance/hub appliance/courier \
	$(WIRE_ROOMS))
$(O)/tests/sim/ledger_sim: $(O)/tests/sim/ledger_sim.o $(SIM_PARTS) $(SIM_ROOMS)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(SIM_PARTS) \
		-Wl,--start-group $(SIM_ROOMS) -Wl,--end-group \
		-Wl,--as-needed $(LIBS_ledger) $(LIBS_ipc) -lcrypto $(LIBS_base)
$(O)/tests/bench/proof_bench $(O)/tests/system/tpm_tool \
    $(O)/tests/system/attack_tool: $(TPM_LAB)
$(O)/tests/bench/load_bench: \
    $(addprefix $(O)/tests/bench/,device.o entry.o lend.o)
$(O)/tests/bench/login_bench: \
    $(addprefix $(O)/tests/bench/,device.o entry.o)
$(O)/tests/bench/hub_bench: $(O)/tests/bench/report_site.o
$(O)/tests/sim/site_sim: $(addprefix $(O)/tests/sim/site_,world.o seats.o \
	keys.o people.o policy.o)
$(O)/tests/%: $(O)/tests/%.o $(call archives,$(ROOMS))
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(call archives,$(ROOMS)) -Wl,--end-group \
		-Wl,--as-needed $(TEST_LIBS)
# A daemon of the next format of stores, for updates that are taken back.
$(O)/tests/system/store_format.o: appliance/ledger/store_format.c $(O)/flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -DSTORE_FORMAT=2 $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
$(O)/tests/system/leaseholdd_newer: $(O)/tests/system/store_format.o \
    $(O)/appliance/main.o $(call archives,$(leaseholdd_rooms))
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(call archives,$(leaseholdd_rooms)) \
		-Wl,--end-group -Wl,--as-needed $(leaseholdd_libs)
# Faults that only a library in front of libc can make.
SHIMS := $(patsubst tests/%.c,$(O)/tests/%.so,$(wildcard \
	tests/system/*_shim.c))
$(O)/tests/%_shim.so: $(O)/tests/%_shim.o
	$(CC) -shared -o $@ $< -ldl

.PHONY: build-tests build-fuzz
build-tests: $(PRODUCTS) $(UNIT) $(TOOLS) $(SHIMS) \
	$(O)/tests/system/leaseholdd_newer

JOBS := -j$(shell nproc)
SELF := $(MAKE) --no-print-directory

dependencies: ## install missing Debian packages (packaging/dependencies)
	@packaging/install-dependencies

check: dependencies ## install, build, pass all tests
	@$(SELF) $(JOBS) build-tests
	tests/run --build $(O) --summary $(O)/check.txt

attacks: dependencies ## what attackers have, try and get, as a report
	@$(SELF) $(JOBS) all $(filter $(O)/tests/system/%,$(TOOLS)) $(SHIMS)
	@tests/run --build $(O) --only 'attacks/*' --tell

conformance: dependencies ## JSONTestSuite, PASETO vectors: DATA=DIR
	@test -d $(DATA)/json || { echo "conformance: $(DATA)/json is not there;" \
		"say where the reference data is: make conformance DATA=DIR" >&2; \
		exit 2; }
	@$(SELF) $(JOBS) $(UNIT)
	tests/run --build $(O) --data $(DATA) --only 'check_json' \
		--only 'check_token'

asan: dependencies ## the same tests under ASan and UBSan
	@$(SELF) $(JOBS) MODE=asan build-tests
	ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1 \
		tests/run --build $(BUILD)/asan

tsan: dependencies ## the tests of what has threads, under TSan
	@$(SELF) $(JOBS) MODE=tsan build-tests
	tests/run --build $(BUILD)/tsan --only 'check_ledger*' \
		--only 'check_proof_helper' --only 'check_proof_tpm' \
		--only 'check_writer' --only 'check_lib_*' \
		--only 'test_checkout.py'

demo: dependencies ## the main job, told as a story: KEEP=1 SHORT=1 PORT=
	@$(SELF) $(JOBS) all $(O)/tests/system/app_tool \
		$(O)/tests/system/liar_tool $(O)/tests/system/tpm_tool \
		$(O)/tests/system/clock_shim.so >/dev/null
	@packaging/demo $(O) $(BUILD)/demo

demo-stop: ## end what KEEP=1 left running
	@packaging/demo-stop $(BUILD)/demo

sim: dependencies ## the ledger against a model: SEED= RUNS= SECONDS=
	@$(SELF) $(JOBS) $(O)/tests/sim/ledger_sim $(O)/tests/sim/guard_sim \
		$(O)/tests/sim/borrow_sim $(O)/tests/sim/site_sim \
		$(O)/tests/sim/sync_sim
	@for sim in ledger guard site; do $(O)/tests/sim/$${sim}_sim \
		$(if $(SEED),--seed $(SEED)) $(if $(RUNS),--runs $(RUNS)) \
		$(if $(SECONDS),--seconds $(SECONDS)) || exit 1; done
	@$(O)/tests/sim/borrow_sim $(if $(SEED),--seed $(SEED)) \
		$(if $(RUNS),--runs $(RUNS))
	@$(O)/tests/sim/sync_sim --runs $(or $(RUNS),10000) \
		$(if $(SEED),--seed $(SEED))

torture: dependencies ## kill -9 at random: ROUNDS=200 SEED=
	@$(SELF) $(JOBS) build-tests
	LEASEHOLD_BUILD=$(O) ROUNDS=$(or $(ROUNDS),200) $(if $(SEED),SEED=$(SEED)) \
		/usr/bin/python3 tests/system/torture.py

bench: dependencies ## beside Redis, PostgreSQL, nginx: ROWS= ROUNDS= README=1
	@$(SELF) $(JOBS) all $(filter $(O)/tests/bench/%,$(TOOLS)) \
		$(O)/tests/system/app_tool
	@LEASEHOLD_BUILD=$(O) /usr/bin/python3 tests/bench/bench.py \
		--out $(BUILD)/bench.json $(if $(ROWS),--rows $(ROWS)) \
		$(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(if $(SECONDS),--seconds $(SECONDS)) $(if $(README),--readme)

# Fuzzers: MODE=fuzz is a build tree of its own, made by clang.
FUZZ := $(patsubst tests/%.c,$(O)/tests/%,$(wildcard tests/fuzz/fuzz_*.c))
$(O)/tests/fuzz/fuzz_%: $(O)/tests/fuzz/fuzz_%.o $(call archives,$(ROOMS))
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< -Wl,--start-group \
		$(call archives,$(ROOMS)) -Wl,--end-group \
		-Wl,--as-needed $(TEST_LIBS)
build-fuzz: $(FUZZ)

fuzz: dependencies ## every parser against a fuzzer: SECONDS=20 each, ONLY=
	@$(SELF) $(JOBS) MODE=fuzz CC=clang build-fuzz
	@tests/fuzz/run $(BUILD)/fuzz $(or $(SECONDS),20) $(ONLY)

DEB_PACKAGES := $(shell grep -v '^\#' packaging/dependencies-deb)
BENCH_JSON_PACKAGES := libyajl-dev libjsmn-dev libjson-c-dev
BENCH_JSON_PKG := yajl json-c
$(O)/tests/bench/json_bench.o: CPPFLAGS += \
	$(shell pkg-config --cflags $(BENCH_JSON_PKG) 2>/dev/null)
$(O)/tests/bench/json_bench: TEST_LIBS := \
	$(shell pkg-config --libs $(BENCH_JSON_PKG) 2>/dev/null) $(LIBS_base)

bench-metering: dependencies ## ten million rows of a month, beside SQL: ROWS=
	@$(SELF) $(JOBS) all $(O)/tests/bench/metering_bench \
		$(O)/tests/bench/load_bench >/dev/null
	@LEASEHOLD_BUILD=$(O) /usr/bin/python3 tests/bench/metering.py \
		$(if $(ROWS),--rows $(ROWS)) $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(if $(SECONDS),--seconds $(SECONDS))

# Where the disk is that a hub would have: not in memory.
bench-hub: dependencies ## reports of ten thousand sites, a long export: SITES=
	@$(SELF) $(JOBS) $(O)/tests/bench/hub_bench >/dev/null
	@LEASEHOLD_BUILD=$(O) /usr/bin/python3 tests/bench/hub.py \
		$(if $(SITES),--sites $(SITES))

bench-audit: dependencies ## ten million entries of audit, searched: ENTRIES=
	@$(SELF) $(JOBS) $(O)/tests/bench/audit_bench
	@mkdir -p $(BUILD)/bench-audit
	@nice $(O)/tests/bench/audit_bench $(BUILD)/bench-audit $(ENTRIES)
	@rm -r $(BUILD)/bench-audit

bench-json: dependencies ## our JSON reader against yajl, jsmn and json-c
	@packaging/install-dependencies $(BENCH_JSON_PACKAGES)
	@$(SELF) $(JOBS) $(O)/tests/bench/json_bench
	@$(O)/tests/bench/json_bench $(DATA)/json

lint: export LINT_CC = $(CC)
lint: export LINT_FLAGS = $(CPPFLAGS) -Iagent/lib $(WARN) \
	-DTESTS_FOLDER='"$(CURDIR)/tests"'
SOURCES = $(shell git ls-files '*.c' '*.h' '*.cpp' '*.hpp')
lint: dependencies ## formatting, warnings as errors, analyzer, shellcheck
	packaging/lint

openapi-check: dependencies ## the API's description against npm's validator
	@$(SELF) $(JOBS) $(O)/tests/system/openapi_tool
	@packaging/openapi-check $(O) $(BUILD)/npm

metrics-check: dependencies ## /metrics against Prometheus' own promtool
	@$(SELF) $(JOBS) all
	@packaging/metrics-check $(O) $(BUILD)/prometheus

format: ## rewrite the sources in the house style
	clang-format -i $(SOURCES)

hardening: ## read the ELF files: fails if a protection is missing
	@$(SELF) $(JOBS) all
	packaging/hardening $(PROGRAMS:%=$(O)/%) $(BOX_PROGRAMS:%=$(O)/%) $(O)/libleasehold.so.1

# Where Debian's python3 looks below this prefix.
PYTHON_DIR ?= $(PREFIX)/lib/python$(if $(filter /usr,$(PREFIX)),3,$(shell \
	/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])'\
	))/dist-packages
completions: ## write the bash completions out of the programs' help
	@$(SELF) $(JOBS) all
	packaging/completions/update $(O)

SHARE := $(DESTDIR)$(PREFIX)/share
install-manual:
	install -d $(SHARE)/man/man1 $(SHARE)/man/man3 $(SHARE)/man/man5 \
		$(SHARE)/man/man7 $(SHARE)/man/man8 $(SHARE)/bash-completion/completions
	for page in packaging/man/*; do \
		install -m 644 $$page $(SHARE)/man/man$${page##*.} || exit 1; \
	done
	install -m 644 $(PROGRAMS:%=packaging/completions/%) \
		$(SHARE)/bash-completion/completions

# What systemd, sysusers.d and tmpfiles.d are told. The programs read /etc, not
# SYSCONFDIR, unless --config says otherwise: the units do.
install-service:
	install -d $(DESTDIR)$(UNITDIR) $(DESTDIR)$(PREFIX)/lib/sysusers.d \
		$(DESTDIR)$(PREFIX)/lib/tmpfiles.d \
		$(DESTDIR)$(SYSCONFDIR)/leasehold $(DESTDIR)$(PREFIX)/sbin
	for unit in leaseholdd leasehold-front leasehold-courier \
		leasehold-agent leasehold-uplink; do \
		sed '$(PLACES)' packaging/systemd/$$unit.service \
			>$(DESTDIR)$(UNITDIR)/$$unit.service && \
		chmod 644 $(DESTDIR)$(UNITDIR)/$$unit.service || exit 1; \
	done
	for part in leasehold-appliance leasehold-agent; do \
		install -m 644 packaging/systemd/$$part.sysusers \
			$(DESTDIR)$(PREFIX)/lib/sysusers.d/$$part.conf || \
			exit 1; \
	done
	install -m 644 packaging/systemd/leasehold-agent.tmpfiles \
		$(DESTDIR)$(PREFIX)/lib/tmpfiles.d/leasehold-agent.conf
	sed '$(PLACES)' packaging/leasehold-setup \
		>$(DESTDIR)$(PREFIX)/sbin/leasehold-setup
	chmod 755 $(DESTDIR)$(PREFIX)/sbin/leasehold-setup
	for ini in leaseholdd agent; do \
		to=$(DESTDIR)$(SYSCONFDIR)/leasehold/$$ini.ini; \
		[ -e $$to ] || packaging/service-ini $$ini >$$to || exit 1; \
		chmod 644 $$to || exit 1; \
	done

install: install-manual install-service ## programs, library, services: PREFIX= DESTDIR=
	@$(SELF) $(JOBS) all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/sbin \
		$(DESTDIR)$(PREFIX)/include $(DESTDIR)$(LIBDIR)/pkgconfig \
		$(DESTDIR)$(PREFIX)/share/doc/leasehold/examples \
		$(DESTDIR)$(PYTHON_DIR)/leasehold
	install -m 755 $(O)/leasehold $(O)/leasehold-vendor \
		$(DESTDIR)$(PREFIX)/bin
	install -m 755 $(O)/leaseholdd $(O)/leasehold-agent \
		$(DESTDIR)$(PREFIX)/sbin
	install -m 644 agent/lib/leasehold.h agent/lib/leasehold.hpp \
		$(DESTDIR)$(PREFIX)/include
	install -m 644 agent/lib/python/leasehold/*.py \
		agent/lib/python/leasehold/py.typed \
		$(DESTDIR)$(PYTHON_DIR)/leasehold
	install -m 644 agent/lib/examples/hold.* agent/lib/examples/by_key.* \
		packaging/systemd/tpm.conf \
		$(DESTDIR)$(PREFIX)/share/doc/leasehold/examples
	install -m 644 $(O)/libleasehold.a $(DESTDIR)$(LIBDIR)
	install -m 755 $(O)/libleasehold.so.1 $(DESTDIR)$(LIBDIR)
	ln -sf libleasehold.so.1 $(DESTDIR)$(LIBDIR)/libleasehold.so
	sed '$(PLACES)' agent/lib/leasehold.pc.in \
		>$(DESTDIR)$(LIBDIR)/pkgconfig/leasehold.pc
	chmod 644 $(DESTDIR)$(LIBDIR)/pkgconfig/leasehold.pc
	install -m 644 packaging/leaseholdd.ini.example \
		packaging/agent.ini.example packaging/terms.json.example \
		packaging/policy.json.example packaging/grafana/leasehold.json \
		packaging/prometheus/leasehold.rules.yml \
		$(DESTDIR)$(PREFIX)/share/doc/leasehold

# What only the appliance's image has.
install-box:
	@$(SELF) $(JOBS) all
	install -d $(DESTDIR)$(PREFIX)/sbin $(SHARE)/man/man8
	install -m 755 $(BOX_PROGRAMS:%=$(O)/%) $(DESTDIR)$(PREFIX)/sbin
	install -m 644 firmware/man/*.8 $(SHARE)/man/man8

deb: dependencies ## Debian packages, checked by lintian: into build/deb
	@packaging/install-dependencies $(DEB_PACKAGES)
	@packaging/deb-build $(BUILD)/deb

deb-reproducible: deb ## the same again elsewhere and later: the same bytes?
	@packaging/deb-build --compare $(BUILD)/deb

IMAGE_PACKAGES := $(shell grep -v '^\#' packaging/dependencies-image)
# Keys of the image: a folder made by firmware/keys-make; without one, test
# keys below BUILD.
KEYS ?= $(BUILD)/image/keys

image: dependencies ## the appliance's disk image: KEYS=DIR; into build/image
	@packaging/install-dependencies $(IMAGE_PACKAGES)
	@rm -rf $(BUILD)/image/install
	@$(SELF) install install-box PREFIX=/usr \
		LIBDIR=/usr/lib/x86_64-linux-gnu \
		UNITDIR=/usr/lib/systemd/system \
		DESTDIR=$(abspath $(BUILD))/image/install >/dev/null
	@firmware/image-build $(BUILD)/image/install $(BUILD)/image $(KEYS) \
		$(VERSION)

check-image: image ## the image's tests: qemu, OVMF, swtpm; 25 minutes at most
	@$(SELF) $(JOBS) $(O)/tests/system/app_tool $(O)/tests/system/tpm_tool \
		$(O)/tests/system/leaseholdd_newer >/dev/null
	@LEASEHOLD_BUILD=$(O) timeout --foreground 1500 tests/image/run \
		$(BUILD)/image

check-maintenance: image ## a shell of the image by its owner's token, and its end
	@$(SELF) $(JOBS) $(PRODUCTS) >/dev/null
	@LEASEHOLD_BUILD=$(O) IMAGE=$(BUILD)/image timeout --foreground 900 \
		/usr/bin/python3 tests/image/test_maintenance.py

bundle: image ## the same as an update, signed: build/image/update.raucb
	@firmware/bundle-build $(BUILD)/image $(KEYS) \
		$(BUILD)/image/update.raucb
	@ls -l $(BUILD)/image/update.raucb

check-deb: deb ## install, use, upgrade, remove under systemd, in a container
	@packaging/deb-check $(BUILD)/deb $(BUILD)/deb-root

check-packages: deb-reproducible check-deb ## both: the same bytes, and they hold

clean: ## end a kept demo, remove the build tree
	@[ ! -e $(BUILD)/demo/env ] || packaging/demo-stop $(BUILD)/demo
	rm -rf $(BUILD)

include $(wildcard $(O)/*/*.d $(O)/*/*/*.d $(O)/*/*/*/*.d)

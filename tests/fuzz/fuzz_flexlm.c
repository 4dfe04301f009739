/* An options file of FlexNet: whatever stands in it, every line has its remark,
 * the policy that comes of it compiles, and it is within the bounds of its
 * records. How features are called is told by the input's size. */
#include "agent/cli/flexlm_policy.h"
#include "appliance/ledger/policy.h"
#include "fuzz.h"
#include "shared/base/err.h"

#include <sodium.h>

static const char *const targets[] = { "f=p", "f:VERSION=2.0=p/x", "g=p/y",
	"g=q" };

static void
check_made(const struct policy_document *document,
    const struct flexlm_report *report, const struct flexlm_file *file)
{
	const struct flexlm_remark *lines = report->lines.items;
	struct record_error error = { .field = "" };
	struct policy *policy;

	fuzz_must(report->lines.count == file->count);
	for (uint32_t i = 0; i < file->count; i++) {
		fuzz_must(lines[i].line == file->lines[i].number);
		/* What is not taken as it is has its reason. */
		fuzz_must(lines[i].status == FLEXLM_TAKEN ||
		    lines[i].reason[0] != '\0');
	}
	if (record_check(&flexlm_report_record, report, &error) != 0 ||
	    record_check(&policy_document_record, document, &error) != 0 ||
	    policy_compile(&policy, document, &error) != 0) {
		fprintf(stderr, "%s: %s\n", error.field, error.reason);
		abort();
	}
	policy_free(policy);
}

static void
try_map(const char *text, size_t size, const struct flexlm_map *map,
    struct arena *arena)
{
	struct policy_document document;
	struct flexlm_report report;
	struct flexlm_file file;
	int err = flexlm_read(&file, text, size, arena);

	if (err != 0) {
		fuzz_must(err == ERR_TOO_LARGE);
		return;
	}
	err = flexlm_translate(&document, &report, &file, map, arena);
	if (err == 0)
		check_made(&document, &report, &file);
	else
		fuzz_must(err == ERR_TOO_LARGE && report.notes.count > 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const all[] = { "p", "q" };
	struct flexlm_target read[4];
	struct flexlm_map map = { .product = NULL };
	struct arena arena = { .max_bytes = (size_t)64 << 20 };
	char *text;

	if (sodium_init() < 0)
		return 0;
	/* What is read ends where it ends, not at a NUL. */
	text = malloc(size > 0 ? size : 1);
	if (text == NULL)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	if (size % 3 != 0) {
		for (size_t i = 0; i < 4; i++)
			fuzz_must(flexlm_read_target(&read[i], targets[i],
				      &arena) == NULL);
		map = (struct flexlm_map){ .targets = read,
			.n_targets = 4,
			.product = size % 3 == 1 ? "suite" : NULL,
			.all = all,
			.n_all = size % 3 == 1 ? 2 : 0 };
	}
	try_map(text, size, &map, &arena);
	free(text);
	arena_release(&arena);
	return 0;
}

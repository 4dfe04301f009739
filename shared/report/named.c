/* Names in the clear beside the rows of a report, where they are told. */
#include "shared/report/inside.h"

#include "shared/base/err.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

int
report_named_begin(struct report_named *named,
    const struct report_source *source)
{
	if (source->name == NULL)
		return 0;
	named->subjects =
	    calloc((size_t)2 * REPORT_ROWS_MAX, sizeof *named->subjects);
	return named->subjects != NULL ? 0 : ERR_NOMEM;
}

void
report_named_see(struct report_named *named, uint32_t row,
    const struct report_seats *seats)
{
	if (named->subjects == NULL)
		return;
	const size_t at = (size_t)2 * row;

	memcpy(named->subjects[at], seats->user, SUBJECT_BYTES);
	memcpy(named->subjects[at + 1], seats->host, SUBJECT_BYTES);
}

static int
compare_subjects(const void *a, const void *b)
{
	return memcmp(a, b, SUBJECT_BYTES);
}

int
report_named_list(struct record_list *names, struct report_named *named,
    uint32_t rows, const struct report_source *source, struct arena *arena)
{
	uint8_t(*subjects)[SUBJECT_BYTES] = named->subjects;
	uint32_t n = 0;

	if (subjects == NULL || rows == 0)
		return 0;
	qsort(subjects, (size_t)2 * rows, sizeof *subjects, compare_subjects);
	struct report_name *out =
	    arena_alloc(arena, (size_t)2 * rows * sizeof *out);

	if (out == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < 2 * rows; i++) {
		if (sodium_is_zero(subjects[i], SUBJECT_BYTES) ||
		    (i > 0 &&
			compare_subjects(subjects[i], subjects[i - 1]) == 0))
			continue;
		memset(&out[n], 0, sizeof out[n]);
		int err = source->name(source->ctx, &out[n], subjects[i]);

		if (err == ERR_NOT_FOUND_INTERNAL)
			continue;
		if (err != 0)
			return err;
		memcpy(out[n].subject, subjects[i], SUBJECT_BYTES);
		n++;
	}
	*names = (struct record_list){ out, n };
	return 0;
}

void
report_named_release(struct report_named *named)
{
	free(named->subjects);
	named->subjects = NULL;
}

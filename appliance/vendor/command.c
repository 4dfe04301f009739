/* The command line and what people are told; see vendor.h. */
#include "appliance/vendor/vendor.h"

#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/record/json.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct vendor_command *const commands[] = { &vendor_init_command,
	&vendor_issuer_command, &vendor_issue_command, &vendor_show_command,
	NULL };

/* --- saying --------------------------------------------------------------- */

void
vendor_add_member(struct buf *out, const char *key, const char *text)
{
	json_add_string(out, key, strlen(key));
	buf_add_byte(out, ':');
	json_add_string(out, text, strlen(text));
}

/* Texts come from strangers' files, too: nothing but printable ones reach the
 * terminal. */
static void
say(const char *prefix, const char *text)
{
	fputs(prefix, stderr);
	if (text_is_printable(text, strlen(text)))
		fputs(text, stderr);
	else
		for (const char *p = text; *p != '\0'; p++)
			fputc(*p >= 0x20 && *p < 0x7f ? *p : '?', stderr);
	fputc('\n', stderr);
}

static void
say_json(int err, const char *detail, const char *meaning, const char *next)
{
	struct buf out = { 0 };

	buf_add_byte(&out, '{');
	vendor_add_member(&out, "code", err_code(err));
	buf_add_byte(&out, ',');
	vendor_add_member(&out, "detail", detail);
	buf_add_byte(&out, ',');
	vendor_add_member(&out, "meaning", meaning);
	buf_add_byte(&out, ',');
	vendor_add_member(&out, "hint", next);
	buf_add_byte(&out, '}');
	fprintf(stderr, "%s\n", buf_text(&out));
	buf_release(&out);
}

int
vendor_fail(const struct vendor_call *call, int err, const char *meaning,
    const char *next, const char *format, ...)
{
	char detail[PATH_MAX + 512];
	va_list args;

	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	if (call->json) {
		say_json(err, detail, meaning, next == NULL ? "" : next);
		return VENDOR_FAILED;
	}
	say("leasehold-vendor: ", detail);
	say("  ", meaning);
	if (next != NULL)
		say("  Next: ", next);
	return VENDOR_FAILED;
}

void
vendor_warn(const struct vendor_call *call, const char *format, ...)
{
	char text[PATH_MAX + 512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (call->json) {
		struct buf out = { 0 };

		buf_add_byte(&out, '{');
		vendor_add_member(&out, "warning", text);
		buf_add_byte(&out, '}');
		fprintf(stderr, "%s\n", buf_text(&out));
		buf_release(&out);
		return;
	}
	say("leasehold-vendor: warning: ", text);
}

const char *
vendor_reason(int err)
{
	switch (err) {
	case ERR_IO:
	case ERR_FULL:
	case ERR_SYSTEM:
		return strerror(errno);
	case ERR_NOT_FOUND:
		return "there is no such file";
	case ERR_FORBIDDEN:
		return "access is denied, or others than the owner may read it";
	default:
		return err_str(err);
	}
}

int
vendor_print(const struct vendor_call *call, struct buf *out)
{
	const char *text = buf_text(out);

	if (out->failed)
		return vendor_fail(call, ERR_NOMEM,
		    "The work is done, only the answer is missing", NULL, "%s",
		    err_str(ERR_NOMEM));
	puts(text);
	if (fflush(stdout) != 0)
		return vendor_fail(call, ERR_IO,
		    "The work is done, only the answer is missing", NULL,
		    "cannot write the answer: %s", strerror(errno));
	return VENDOR_DONE;
}

/* --- help ----------------------------------------------------------------- */

static void
help_all(FILE *out)
{
	fputs("leasehold-vendor: make a vendor's keys and issue licenses, "
	      "offline.\n\n",
	    out);
	for (size_t i = 0; commands[i] != NULL; i++)
		fprintf(out, "  leasehold-vendor %-7s %-5s %s\n",
		    commands[i]->name, commands[i]->subject, commands[i]->doc);
	fputs("\nEverywhere:\n"
	      "  --json   answer in JSON\n"
	      "  --help   help on a command, with an example\n"
	      "Exit status: 0 done, 1 failed, 2 usage.\n",
	    out);
}

static void
help_one(const struct vendor_command *command)
{
	printf("leasehold-vendor %s %s", command->name, command->subject);
	for (const struct vendor_option *o = command->options; o->name != NULL;
	     o++)
		printf(o->required ? " %s%s%s" : " [%s%s%s]", o->name,
		    o->value != NULL ? " " : "",
		    o->value != NULL ? o->value : "");
	printf(" [--json]\n\n%s.\n\n", command->doc);
	for (const struct vendor_option *o = command->options; o->name != NULL;
	     o++)
		printf("  %s %-*s  %s\n", o->name, 16 - (int)strlen(o->name),
		    o->value != NULL ? o->value : "", o->doc);
	printf("\nExample:\n  %s\n", command->example);
}

/* --- reading the command line --------------------------------------------- */

static int usage(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int
usage(const char *command, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	say("leasehold-vendor: ", text);
	fprintf(stderr, "  Next: leasehold-vendor %s%s--help\n", command,
	    command[0] != '\0' ? " " : "");
	return VENDOR_USAGE;
}

static int
unknown_option(const struct vendor_command *command, const char *word)
{
	const char *known[VENDOR_OPTIONS_MAX + 3];
	size_t n = 0;

	for (const struct vendor_option *o = command->options; o->name != NULL;
	     o++)
		known[n++] = o->name;
	known[n++] = "--json";
	known[n++] = "--help";
	known[n] = NULL;
	const char *closest = text_closest(word, known);

	if (closest != NULL)
		return usage(command->name,
		    "%s: there is no option %.64s; did you mean %s?",
		    command->name, word, closest);
	return usage(command->name, "%s: there is no option %.64s",
	    command->name, word);
}

/* One option; *i is left at the last word it took. */
static int
read_option(struct vendor_call *call, int *i, int argc, char **argv)
{
	const struct vendor_command *command = call->command;

	for (size_t n = 0; command->options[n].name != NULL; n++) {
		const struct vendor_option *option = &command->options[n];
		size_t len = strlen(option->name);
		const char *rest = argv[*i] + len;

		if (strncmp(argv[*i], option->name, len) != 0 ||
		    (*rest != '\0' && *rest != '='))
			continue;
		if (call->values[n] != NULL)
			return usage(command->name, "%s: %s is given twice",
			    command->name, option->name);
		if (option->value == NULL && *rest == '=')
			return usage(command->name, "%s: %s takes no value",
			    command->name, option->name);
		if (option->value != NULL && *rest == '\0' && *i + 1 >= argc)
			return usage(command->name, "%s: %s needs %s",
			    command->name, option->name, option->value);
		if (option->value == NULL)
			call->values[n] = "";
		else
			call->values[n] = *rest == '=' ? rest + 1 : argv[++*i];
		return VENDOR_DONE;
	}
	return unknown_option(command, argv[*i]);
}

static int
check_complete(const struct vendor_call *call)
{
	const struct vendor_command *command = call->command;

	if (call->subject == NULL)
		return usage(command->name, "%s: %s is missing", command->name,
		    command->subject);
	for (size_t n = 0; command->options[n].name != NULL; n++)
		if (command->options[n].required && call->values[n] == NULL)
			return usage(command->name, "%s: %s %s is missing",
			    command->name, command->options[n].name,
			    command->options[n].value);
	return VENDOR_DONE;
}

static int
run_command(const struct vendor_command *command, bool json, int argc,
    char **argv)
{
	struct vendor_call call = { .command = command, .json = json };
	bool words_only = false;

	for (int i = 0; i < argc; i++) {
		const char *word = argv[i];

		if (!words_only && strcmp(word, "--") == 0) {
			words_only = true;
		} else if (!words_only && strcmp(word, "--json") == 0) {
			call.json = true;
		} else if (!words_only &&
		    (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)) {
			help_one(command);
			return VENDOR_DONE;
		} else if (!words_only && word[0] == '-' && word[1] != '\0') {
			int status = read_option(&call, &i, argc, argv);

			if (status != VENDOR_DONE)
				return status;
		} else if (call.subject == NULL) {
			call.subject = word;
		} else {
			return usage(command->name,
			    "%s: \"%.64s\" is one word too many", command->name,
			    word);
		}
	}
	int status = check_complete(&call);

	return status != VENDOR_DONE ? status : command->run(&call);
}

int
vendor_main(int argc, char **argv)
{
	const char *known[8] = { NULL };
	bool json = false;
	int first = 1;

	for (; first < argc && strcmp(argv[first], "--json") == 0; first++)
		json = true;
	if (first >= argc) {
		help_all(stderr);
		return VENDOR_USAGE;
	}
	const char *word = argv[first];

	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 ||
	    strcmp(word, "help") == 0) {
		help_all(stdout);
		return VENDOR_DONE;
	}
	if (strcmp(word, "--version") == 0) {
		puts("leasehold-vendor " LEASEHOLD_VERSION);
		return VENDOR_DONE;
	}
	for (size_t i = 0; commands[i] != NULL; i++) {
		known[i] = commands[i]->name;
		if (strcmp(word, commands[i]->name) == 0)
			return run_command(commands[i], json, argc - first - 1,
			    argv + first + 1);
	}
	const char *closest = text_closest(word, known);

	if (closest != NULL)
		return usage("", "there is no command %.64s; did you mean %s?",
		    word, closest);
	return usage("", "there is no command %.64s", word);
}

const char *
vendor_option(const struct vendor_call *call, const char *name)
{
	for (size_t n = 0; call->command->options[n].name != NULL; n++)
		if (strcmp(call->command->options[n].name, name) == 0)
			return call->values[n];
	assert(!"an option that is not in the command's table");
	return NULL;
}

int
vendor_option_number(uint64_t *number, const struct vendor_call *call,
    const char *name, uint64_t min, uint64_t max, uint64_t absent)
{
	const char *text = vendor_option(call, name);

	*number = absent;
	if (text == NULL)
		return VENDOR_DONE;
	if (text_to_u64(number, text, strlen(text)) && *number >= min &&
	    *number <= max)
		return VENDOR_DONE;
	return usage(call->command->name,
	    "%s: %s must be a whole number from %" PRIu64 " to %" PRIu64
	    ", not \"%.64s\"",
	    call->command->name, name, min, max, text);
}

/* Answers of a resolver: none is read beyond its end. */
#include "appliance/courier/txt.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t query[TXT_QUERY_MAX], answer[TXT_ANSWER_MAX];
	size_t len;

	if (txt_write(query, &len, "_leasehold.a.example", 0x1234) != 0 ||
	    size > sizeof(answer) - len)
		return 0;
	(void)txt_read(data, size, query, len, "hello");
	/* And behind our own question. */
	memcpy(answer, query, len);
	answer[2] = 0x81;
	answer[7] = 3;
	memcpy(answer + len, data, size);
	(void)txt_read(answer, len + size, query, len, "hello");
	return 0;
}

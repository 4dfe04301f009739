/* Prints the OpenAPI document that a site of this build answers with. */
#include "shared/rpc/operations.h"

#include <stdio.h>

int
main(void)
{
	struct buf out = { 0 };

	operations_write_openapi(&out, LEASEHOLD_VERSION);
	if (out.failed || fwrite(out.data, 1, out.len, stdout) != out.len)
		return 1;
	buf_release(&out);
	return 0;
}

/* Tenants whose store is being exchanged: facts of the system store,
 * "restoring/NAME". */
#include "appliance/ledger/system_private.h"

#include "shared/base/err.h"

int
system_restore_begin(struct system_store *system, const char *tenant,
    const struct row_mark *mark)
{
	return system_save_mark(system, "restoring", tenant, mark);
}

int
system_restore_load(struct row_mark *mark, struct system_store *system,
    const char *tenant)
{
	struct system_name key = system_name_of("restoring", tenant);

	return system_load_fact(mark, system, key.name, key.len,
	    &row_mark_record);
}

int
system_restore_end(struct system_store *system, const char *tenant,
    const struct row_mark *in_place)
{
	static const char *const before[] = { "evidence", "quiet" };
	struct system_name key = system_name_of("restoring", tenant);
	MDB_txn *txn;
	int rc = mdb_txn_begin(system->env, NULL, 0, &txn);

	if (rc != 0)
		return system_failed(rc, "write");
	rc = system_delete(txn, system->facts, key.name, key.len);
	if (rc == 0 && in_place != NULL) {
		key = system_name_of("anchor", tenant);
		rc = system_put(txn, system->facts, key.name, key.len,
		    &row_mark_record, in_place, 0);
	}
	for (size_t i = 0; i < 2 && rc == 0 && in_place != NULL; i++) {
		key = system_name_of(before[i], tenant);
		rc = system_delete(txn, system->facts, key.name, key.len);
	}
	return system_finish(txn, rc, "write");
}

#!/bin/sh
# Hold a seat with an API key while a command runs, with curl alone. Copy what
# you need; `leasehold run --by-key` does the same, and waits for a seat.
#
#	LICENSE_SERVER_URL=https://site.example:7443 LICENSE_API_KEY=clsk_... \
#		LICENSE_CA_FILE=ca.pem by_key.sh PRODUCT VERSION COMMAND...
#
# The status is the command's; 3 when there is no seat.

product=$1
version=$2
shift 2

# ask PATH BODY [OPTION...]: the key goes in by a descriptor, so that nobody
# reads it off the list of processes.
ask()
{
	path=$1
	body=$2
	shift 2
	curl --silent --show-error --fail-with-body --max-time 40 \
		--cacert "${LICENSE_CA_FILE:?}" --header @- \
		--header "X-Hostname: $(hostname)" --json "$body" "$@" \
		"${LICENSE_SERVER_URL:?}/api/v1/licenses/$path" <<-END
		Authorization: Bearer ${LICENSE_API_KEY:?}
	END
}

# member NAME: a member of the JSON on standard input.
member()
{
	sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p"
}

# Retried with the same Idempotency-Key: an answer that was lost is no second
# seat.
again=by-key-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
lease=$(ask checkout "{\"product\":\"$product\",\"version\":\"$version\"}" \
	--header "Idempotency-Key: $again" --retry 3 --retry-connrefused) || {
	echo "by_key.sh: $lease" >&2
	exit 3
}
id=$(echo "$lease" | member id)
every=$(echo "$lease" | member renew_s)

(
	trap 'kill $!; exit 0' TERM
	while sleep "$every" & wait $!; do
		ask renew "{\"ids\":[\"$id\"]}" >/dev/null
	done
) &
keeper=$!
trap : INT TERM HUP

"$@"
status=$?
kill "$keeper"
ask return "{\"id\":\"$id\"}" >/dev/null
exit $status

#!/bin/sh
# Lines "NUMBER COMMAND" of the second serial line; each answer stands between
# <NUMBER< and >NUMBER STATUS>. In the glass image of the tests alone.
exec </dev/ttyS1 >/dev/ttyS1 2>&1
stty raw -echo
PATH=/usr/bin:/usr/sbin
busybox=/usr/lib/glass/busybox
export PATH busybox
while read -r number command; do
	[ -n "$command" ] || continue
	printf '<%s<\n' "$number"
	status=0
	(eval "$command") </dev/null || status=$?
	printf '\n>%s %s>\n' "$number" "$status"
done

# bash completion for @NAME@, made by packaging/completions/update out of the
# program's own help: change those, not this. It asks nobody but the agent of
# this machine, and that for a second at most: no key is shown to a network by
# pressing Tab.
# shellcheck shell=bash

# What may follow the words so far ($1, "" at first) as a further one.
@FUNCTION@_words()
{
	case $1 in
@WORDS@
	esac
}

# Options of a command; those with a value end with =.
@FUNCTION@_options()
{
	case $1 in
@OPTIONS@
	esac
	echo '@EVERYWHERE@'
}

# What the value of an option is: file, dir, user, or words to choose from.
@FUNCTION@_value()
{
	case "$1 $2" in
@VALUES@
	esac
}

# What the arguments of a command are, likewise.
@FUNCTION@_argument()
{
	case $1 in
@ARGUMENTS@
	esac
}

# Choices of one kind for the word $2.
@FUNCTION@_choose()
{
	local kind=$1 cur=$2 choice

	COMPREPLY=()
	case $kind in
	'') return ;;
	file | dir)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -"${kind:0:1}" -- "$cur")
		;;
	user) mapfile -t COMPREPLY < <(compgen -u -- "$cur") ;;
	lease)
		# Of this machine's agent; one line a lease in its JSON.
		mapfile -t COMPREPLY < <(compgen -W "$(
			timeout 1 leasehold status --json 2>/dev/null |
				sed -n 's/^ *"lease": \([0-9]*\),*$/lease-\1/p'
		)" -- "$cur")
		;;
	*)
		mapfile -t COMPREPLY < <(compgen -W "$kind" -- "$cur")
		for choice in "${COMPREPLY[@]}"; do
			[[ $choice != *= ]] || compopt -o nospace 2>/dev/null
		done
		;;
	esac
}

@FUNCTION@()
{
	local cur=${COMP_WORDS[COMP_CWORD]} option="" command="" word next
	local i options all

	# Bash parts words at "=": --sort=us is three of them.
	[[ $cur != = ]] || cur=""
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ $word == = ]]; then
			continue
		elif [[ -n $option ]]; then
			option="" # this was its value
		elif [[ $word == -- ]]; then
			# A command of its own follows, or arguments.
			@FUNCTION@_rest "$command" $((i + 1))
			return
		elif [[ $word == -* ]]; then
			options=$(@FUNCTION@_options "$command")
			[[ " ${options//$'\n'/ } " != *" $word= "* ]] || option=$word
		else
			next=$(@FUNCTION@_words "$command")
			[[ " $next " != *" $word "* ]] ||
				command=${command:+$command }$word
		fi
	done
	if [[ -n $option ]]; then
		@FUNCTION@_choose "$(@FUNCTION@_value "$command" "$option")" "$cur"
		return
	fi
	options=$(@FUNCTION@_options "$command")
	all=$(@FUNCTION@_words "$command")
	if [[ $cur == -* ]]; then
		@FUNCTION@_choose "${options//$'\n'/ }" "$cur"
	elif [[ -n $all ]]; then
		@FUNCTION@_choose "$all" "$cur"
	else
		@FUNCTION@_choose "$(@FUNCTION@_argument "$command")" "$cur"
	fi
}

# What stands behind --, from word $2 on.
@FUNCTION@_rest()
{
	local cur=${COMP_WORDS[COMP_CWORD]}

	if [[ $(@FUNCTION@_argument "$1") != command ]]; then
		@FUNCTION@_choose "$(@FUNCTION@_argument "$1")" "$cur"
	elif ((COMP_CWORD == $2)); then
		mapfile -t COMPREPLY < <(compgen -c -- "$cur")
	else
		@FUNCTION@_choose file "$cur"
	fi
}

complete -F @FUNCTION@ @NAME@

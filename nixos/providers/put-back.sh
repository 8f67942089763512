# put_back SNAPSHOT PATH...
#
# Makes each path what it was in the snapshot, and nothing else: it is restored beside itself, takes its
# place once it is whole, and what was there stays beside it under another name. Nothing of a newer state
# is left in it, such as the journal of a database. Where a folder cannot be replaced, because something is
# mounted there or below it, or somebody else may rename what is above it, its content is restored in place.
# The module puts only-ours.sh before this.
put_back() {
  local snapshot=$1 path place beside kept failed=0
  shift
  # One name for what may take several calls.
  if [ "$snapshot" = latest ]; then
    snapshot=$(backup list | sed --quiet '/^[0-9]\{4\}-/{s/ .*//;p;:rest;n;b rest}')
  fi
  for path in "$@"; do
    # The state of a service may stand behind a link.
    place=$(realpath --canonicalize-missing -- "$path")
    if is_or_has_mount "$place" || ! only_ours_may_rename "$place"; then
      backup restore --in-place --yes "$snapshot" "$path" || failed=1
      continue
    fi
    beside=$place.restoring-${snapshot//\//-}
    kept=$place.before-$(date +%Y-%m-%d_%H-%M-%S)
    while [ -e "$kept" ]; do kept=$kept+; done
    # One that was killed is continued.
    if ! backup restore "$snapshot" "$path" "$beside"; then
      failed=1
    elif [ -e "$place" ] && ! mv --no-target-directory -- "$place" "$kept"; then
      failed=1
    elif ! mv --no-target-directory -- "$beside" "$place"; then
      [ ! -e "$kept" ] || mv --no-target-directory -- "$kept" "$place"
      failed=1
    elif [ -e "$kept" ]; then
      echo "$path is as it was in $snapshot; what was there is in $kept" >&2
    else
      echo "$path is as it was in $snapshot" >&2
    fi
  done
  return "$failed"
}

# Whether something is mounted at a path or below it, which a rename would take along.
is_or_has_mount() {
  local at
  [ -r /proc/self/mountinfo ] || return 0
  while read -r _ _ _ _ at _; do
    # A space in it is \040 there.
    printf -v at '%b' "${at//\\/\\0}"
    [[ "$at/" != "$1"/* ]] || return 0
  done < /proc/self/mountinfo
  return 1
}

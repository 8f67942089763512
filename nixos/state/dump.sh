# Writes databases out, each to a file of its own that is replaced only by a whole one. What fails is
# told, and what was written before stays. The module puts `folder` and only-ours.sh before this and a
# line for each database behind it. It ends with 1 if something is not as it should be and the backup
# tells so, with 2 if that could not be said to the backup.
set -uo pipefail
umask 077
failed=0

# Says what is not as it should be: to whom reads the log, and to the backup, which is incomplete then.
tell() {
    printf '%s\n' "$1" >&2
    [ "$failed" = 2 ] || failed=1
    if [ -n "${BACKUP_INCOMPLETE:-}" ]; then
        printf '%s\n' "$1" >>"$BACKUP_INCOMPLETE" || failed=2
    fi
}

# What stays of an earlier dump, in words.
what_stays() {
    if [ -f "$folder/$1" ]; then
        echo "the dump of $(date --reference="$folder/$1" '+%Y-%m-%d %H:%M') stays"
    else
        echo "there is no earlier dump"
    fi
}

# Tells that one could not be written: whose it is, its file's name, why.
tell_failure() {
    tell "$1 is not dumped: ${3:-the program said nothing}; $(what_stays "$2")"
}

# The last line that a program said.
last_words() {
    grep -v '^[[:space:]]*$' "$1" | tail -n 1 | cut -c 1-300
}

# Seconds that are left of the script's time, less a tenth of it: what hangs is to be told as all else is.
time_left() {
    local left=$((${BACKUP_TIMEOUT_SECONDS:-3600} * 9 / 10 - SECONDS))
    echo $((left > 1 ? left : 1))
}

# Runs a program within the time that is left. What it leaves behind holds no lock.
limited() {
    local left ended=0 since=$SECONDS
    left=$(time_left)
    timeout --foreground --kill-after=10 "$left" "$@" 9<&- || ended=$?
    if [ "$ended" != 0 ] && [ $((SECONDS - since)) -ge "$left" ]; then
        echo "it did not end in time" >&2
    elif [ "$ended" = 137 ]; then
        echo "it was killed" >&2
    fi
    return "$ended"
}

# Gives a whole dump its name.
publish() {
    chown root:root -- "$1" && chmod 600 -- "$1" && sync -- "$1" &&
        mkdir -p -- "$(dirname -- "$folder/$2")" && mv -fT -- "$1" "$folder/$2"
}

# Only root decides what stands there.
prepare() {
    local above
    above=$(dirname -- "$folder")
    mkdir -p -m 755 -- "$above" && mkdir -p -m 700 -- "$folder" || return 1
    if [ -n "$(find "$above" "$folder" -maxdepth 0 \( -not -uid 0 -o -perm /022 -o -not -type d \))" ]; then
        echo "others than root may write to $above or $folder" >&2
        return 1
    fi
    chmod 700 -- "$folder"
}

# From the output of a program: whose it is, the file's name, the program and its arguments.
dump_output() {
    local from=$1 name=$2 new="$folder/.new" errors="$folder/.errors"
    shift 2
    if ! (cd / && limited "$@") >"$new" 2>"$errors"; then
        # To tell of a full disk needs room on it.
        rm -f -- "$new"
        cat "$errors" >&2
        tell_failure "$from" "$name" "$(last_words "$errors")"
    elif ! [ -s "$new" ]; then
        tell_failure "$from" "$name" "its dump is empty"
    elif ! publish "$new" "$name" 2>"$errors"; then
        rm -f -- "$new"
        tell_failure "$from" "$name" "$(last_words "$errors")"
    else
        echo "$from is written to $folder/$name"
    fi
    rm -f -- "$new" "$errors"
}

dump_postgresql() { # from, name, folder of programs, user, port
    dump_output "$1" "$2" setpriv --reuid="$4" --regid="$4" --init-groups \
        "$3/pg_dumpall" --port="$5" --clean --if-exists
}

dump_mysql() { # from, name, folder of programs
    local program=$3/mariadb-dump
    [ -x "$program" ] || program=$3/mysqldump
    dump_output "$1" "$2" "$program" --all-databases --single-transaction --quick --routines \
        --events --triggers --hex-blob --flush-privileges --skip-dump-date
}

# Whether nobody but root may put anything beside a file, or rename what is on the way to it.
is_roots_alone() {
    [ -z "$(find "$(dirname -- "$1")" -maxdepth 0 \( -not -uid 0 -o -perm /022 \))" ] &&
        only_ours_may_rename "$1"
}

# SQLite by its own backup: a copy of one moment, also while others write. As who owns the file, who
# may have put anything into it, in a folder of his own that only he and root can enter.
dump_sqlite() { # from, name, file, required
    local from=$1 name=$2 file=$3 required=$4 place owner group inside work rights=()
    local new="$folder/.new" errors="$folder/.errors"
    if ! [ -e "$file" ] && ! [ -L "$file" ]; then
        if [ "$required" = yes ] || [ -e "$folder/$name" ]; then
            tell_failure "$from" "$name" "$file is not there"
        fi
        return
    fi
    if [ -L "$file" ] || ! [ -f "$file" ]; then
        tell_failure "$from" "$name" "$file is no regular file"
        return
    fi
    inside=$(dirname -- "$folder")
    place=$(realpath -e -- "$file") && owner=$(stat -c %u -- "$place") &&
        group=$(stat -c %g -- "$place") || {
        tell_failure "$from" "$name" "$file cannot be looked at"
        return
    }
    # Beside a database stand logs that are believed, and these name files to delete.
    if [ "$owner" = 0 ] && ! is_roots_alone "$place"; then
        tell_failure "$from" "$name" "$file is root's, in a folder that others may write to"
        return
    fi
    case $place in
        # Only root may enter this folder: its owner is given the right to read, and a place that only
        # who has that right can reach.
        /var/lib/private/*)
            inside=$folder
            rights=(--inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search)
            ;;
    esac
    work=$(mktemp -d -- "$inside/.backup-dump.XXXXXX") || {
        tell_failure "$from" "$name" "there is no room for its copy"
        return
    }
    # Within one transaction: it would begin anew whenever somebody writes, and never end.
    if ! { chown "$owner:$group" -- "$work" && cd "$work" &&
        HOME=/ limited setpriv --reuid="$owner" --regid="$group" --clear-groups "${rights[@]}" \
            sqlite3 -batch -init /dev/null "$place" '.timeout 60000' \
            begin 'select null from sqlite_master limit 0' '.backup copy'; } >"$errors" 2>&1; then
        rm -rf -- "$work"
        cat "$errors" >&2
        tell_failure "$from" "$name" "$(last_words "$errors")"
    elif cd / && ! mv -fT -- "$work/copy" "$new" 2>"$errors"; then
        rm -rf -- "$work"
        tell_failure "$from" "$name" "$(last_words "$errors")"
    # Its owner was free to put something else there; from here on he is not.
    elif [ -L "$new" ] || ! [ -f "$new" ] || [ "$(stat -c %h -- "$new")" != 1 ]; then
        tell_failure "$from" "$name" "its copy is no regular file"
    elif ! publish "$new" "$name" 2>"$errors"; then
        rm -f -- "$new"
        tell_failure "$from" "$name" "$(last_words "$errors")"
    else
        echo "$from is written to $folder/$name"
    fi
    cd /
    rm -rf -- "$work" "$new" "$errors"
}

# What else is to run before a backup: whose it is, and the script.
run_hook() {
    (cd / && limited "$2") || tell "$1 failed (exit status $?)"
}

cd /
if ! said=$(prepare 2>&1); then
    tell "no database is dumped: ${said##*$'\n'}"
    exit "$failed"
fi
# One at a time: two would write to one file.
patience=$(time_left)
if ! { exec 9<"$folder" && flock --timeout "$((patience < 600 ? patience : 600))" 9; }; then
    tell "no database is dumped: another process writes to $folder"
    exit "$failed"
fi
# One that ended on the way has left its work behind.
rm -rf -- "$(dirname -- "$folder")"/.backup-dump.* "$folder"/.backup-dump.* "$folder/.new" "$folder/.errors"

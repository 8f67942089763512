# Writes databases out, each to a file of its own that is replaced only by a whole one. What fails is
# told, and what was written before stays. The module puts `folder` before this and a line for each
# database behind it.
set -uo pipefail
umask 077
failed=0

# Says what is not as it should be: to whom reads the log, and to the backup, which is incomplete then.
tell() {
    printf '%s\n' "$1" >&2
    failed=1
    if [ -n "${BACKUP_INCOMPLETE:-}" ]; then
        printf '%s\n' "$1" >>"$BACKUP_INCOMPLETE"
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

# Gives a whole dump its name.
publish() {
    chown root:root -- "$1" && chmod 600 -- "$1" && sync -- "$1" &&
        mkdir -p -- "$(dirname -- "$folder/$2")" && mv -fT -- "$1" "$folder/$2"
}

# Only root decides what stands there. A dump that ended on the way has left its work behind.
prepare() {
    local above
    above=$(dirname -- "$folder")
    mkdir -p -m 755 -- "$above" && mkdir -p -m 700 -- "$folder" || return 1
    if [ -n "$(find "$above" "$folder" -maxdepth 0 \( -not -uid 0 -o -perm /022 -o -not -type d \))" ]; then
        echo "others than root may write to $above or $folder" >&2
        return 1
    fi
    chmod 700 -- "$folder" && rm -rf -- "$above"/.backup-dump.* "$folder/.new" "$folder/.errors"
}

# From the output of a program: whose it is, the file's name, the program and its arguments.
dump_output() {
    local from=$1 name=$2 new="$folder/.new" errors="$folder/.errors"
    shift 2
    if ! (cd / && "$@") >"$new" 2>"$errors"; then
        cat "$errors" >&2
        tell_failure "$from" "$name" "$(last_words "$errors")"
    elif ! [ -s "$new" ]; then
        tell_failure "$from" "$name" "its dump is empty"
    elif ! publish "$new" "$name" 2>"$errors"; then
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
        --events --triggers --hex-blob --skip-dump-date
}

# SQLite by its own backup: a copy of one moment, also while others write. As who owns the file, who
# may have put anything into it, in a folder of his own that only he and root can enter.
dump_sqlite() { # from, name, file, required
    local from=$1 name=$2 file=$3 required=$4 owner group work new errors
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
    owner=$(stat -c %u -- "$file") && group=$(stat -c %g -- "$file") &&
        work=$(mktemp -d -- "$(dirname -- "$folder")/.backup-dump.XXXXXX") || {
        tell_failure "$from" "$name" "$file cannot be looked at"
        return
    }
    new="$folder/.new"
    errors="$folder/.errors"
    if ! { chown "$owner:$group" -- "$work" && cd "$work" &&
        HOME=/ setpriv --reuid="$owner" --regid="$group" --clear-groups \
            sqlite3 -batch -init /dev/null "$file" '.timeout 60000' '.backup copy'; } >"$errors" 2>&1; then
        cat "$errors" >&2
        tell_failure "$from" "$name" "$(last_words "$errors")"
    elif cd / && ! mv -fT -- "$work/copy" "$new" 2>"$errors"; then
        tell_failure "$from" "$name" "$(last_words "$errors")"
    # Its owner was free to put something else there; from here on he is not.
    elif [ -L "$new" ] || ! [ -f "$new" ] || [ "$(stat -c %h -- "$new")" != 1 ]; then
        tell_failure "$from" "$name" "its copy is no regular file"
    elif ! publish "$new" "$name" 2>"$errors"; then
        tell_failure "$from" "$name" "$(last_words "$errors")"
    else
        echo "$from is written to $folder/$name"
    fi
    cd /
    rm -rf -- "$work" "$new" "$errors"
}

# What else is to run before a backup: whose it is, and the script.
run_hook() {
    (cd / && "$2") || tell "$1 failed (exit status $?)"
}

cd /
if ! said=$(prepare 2>&1); then
    tell "no database is dumped: ${said##*$'\n'}"
    exit 1
fi

# Sets COMPREPLY to what the program says belongs here; false where it knows nothing.
_backup_asked() {
    [[ $2 == -* && $2 != *=* ]] && return 1
    local answer answers=()
    while IFS= read -r answer; do
        answers+=("${answer%%$'\t'*}")
    done < <("${1/#\~\//$HOME/}" __complete --line "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
    [[ ${#answers[@]} -gt 0 ]] || return 1
    # A folder is not yet the end of a path.
    [[ ${answers[0]} == */ ]] && compopt -o nospace 2>/dev/null
    COMPREPLY=("${answers[@]}")
}


# Adds what the program says belongs here; false where it knows nothing.
(( $+functions[_backup_asked] )) ||
_backup_asked() {
    [[ $PREFIX = -* && $PREFIX != *=* ]] && return 1
    local program=${(Q)words[1]} answer
    local -a typed ends shown folders shown_folders
    typed=("${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}")
    for answer in "${(@f)$("${program/#\~\//$HOME/}" __complete "${typed[@]}" 2>/dev/null)}"; do
        [[ -n $answer ]] || continue
        local word=${answer%%$'\t'*} about=${answer#*$'\t'}
        if [[ $word = */ ]]; then
            folders+=("$word")
            shown_folders+=("$word")
        else
            ends+=("$word")
            shown+=("$word${about:+  -- $about}")
        fi
    done
    (( $#ends + $#folders )) || return 1
    # In the order of the program, and a folder is not yet the end of a path.
    (( $#folders )) && compadd -V folders -S '' -d shown_folders -a folders
    (( $#ends )) && compadd -V answers -l -d shown -a ends
    return 0
}


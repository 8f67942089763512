# Whether nobody but root, and who runs this, may rename what is on the way to a path.
only_ours_may_rename() {
  local at=$1 owner mode
  while [ "$at" != / ]; do
    at=$(dirname -- "$at")
    read -r owner mode < <(stat --format='%u %a' -- "$at") || return 1
    [ "$owner" = 0 ] || [ "$owner" = "$EUID" ] || return 1
    # Others may write there; with the sticky bit they may rename only what is theirs.
    if ((8#$mode & 8#22)) && ! ((8#$mode & 8#1000)); then
      return 1
    fi
  done
}

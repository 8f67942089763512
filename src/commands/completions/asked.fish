# Whether the program knows what belongs here, which it is asked once for.
function __backup_asked
    set -l typed (commandline -opc)
    set -l word (commandline -ct)
    string match -qr '^-[^=]*$' -- $word; and return 1
    set -l program (string replace -r '^~/' "$HOME/" -- $typed[1])
    type -q -- $program; or return 1
    set -g __backup_answers ($program __complete $typed "$word" 2>/dev/null)
    test (count $__backup_answers) -gt 0
end


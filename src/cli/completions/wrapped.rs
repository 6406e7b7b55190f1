//! The parts of the shells' scripts that `clap_complete` does not write: the words of the wrapped
//! command, and the names and ids of locks, for which `redlock __complete` asks the servers.

/// In bash, the names of locks come before the words of clap. The names are found by the line,
/// since bash ends a word at a colon. Words after `--` are completed like a command line of their
/// own: by bash-completion if that is loaded, else as a command's name and then as files.
pub(super) const BASH: &str = r#"
_redlock_locks() {
    local line word before found quoted
    line=${COMP_LINE:0:COMP_POINT}
    word=${line##* }
    read -ra before <<<"${line%"$word"}"
    while IFS= read -r found; do
        printf -v quoted %q "$found"
        [[ $quoted == "$word"* ]] && COMPREPLY+=("${quoted#"${word%"${word##*[:=]}"}"}")
    done < <(command redlock __complete "${before[@]:1}" "$word" 2>/dev/null)
}
_redlock_or_wrapped() {
    local at offset
    for ((at = 1; at < COMP_CWORD; at++)); do
        if [[ ${COMP_WORDS[at]} == -- ]]; then
            for offset in _comp_command_offset _command_offset; do
                if declare -F "$offset" >/dev/null; then
                    "$offset" $((at + 1))
                    return
                fi
            done
            if ((COMP_CWORD == at + 1)); then
                mapfile -t COMPREPLY < <(compgen -c -- "${COMP_WORDS[COMP_CWORD]}")
            else
                mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
            fi
            return
        fi
    done
    COMPREPLY=()
    _redlock_locks
    ((${#COMPREPLY[@]})) || _redlock "$@"
}
complete -F _redlock_or_wrapped -o bashdefault -o default redlock
"#;

/// In fish, likewise.
pub(super) const FISH: &str = r"
function __redlock_wrapped
    set -l words (commandline -opc)
    set -l at (contains -i -- -- $words)
    or return 1
    complete -C (string join ' ' -- (string escape -- $words[(math $at + 1)..]) (commandline -ct))
end
complete -c redlock -n 'contains -- -- (commandline -opc)' -x -a '(__redlock_wrapped)'
";

/// In zsh, the function that offers names and ids of locks. It reads the whole line: a function's
/// own words are those of one option.
pub(super) const ZSH: &str = r#"
(( $+functions[_redlock_locks] )) ||
_redlock_locks() {
    local -a line found
    line=(${(Q)${(z)LBUFFER}})
    [[ $LBUFFER == *[[:space:]] ]] && line+=('')
    line=("${(@)line[${line[(I)(redlock|*/redlock)]} + 1,-1]}")
    found=(${(f)"$(command redlock __complete "${line[@]}" 2>/dev/null)"})
    (( $#found )) && compadd -a found
}
"#;

/// In fish, likewise.
pub(super) const FISH_LOCKS: &str = r"
function __redlock_locks
    set -l words (commandline -opc)
    command redlock __complete $words[2..] (commandline -ct) 2>/dev/null
end
for verb in status force-release wait check
    complete -c redlock -n '__fish_redlock_using_subcommand '$verb -f -a '(__redlock_locks)'
end
complete -c redlock -n '__fish_redlock_using_subcommand status' -s l -l lock -r -f -a '(__redlock_locks)'
complete -c redlock -n '__fish_redlock_using_subcommand force-release' -s l -l lock -r -f -a '(__redlock_locks)'
complete -c redlock -n '__fish_redlock_using_subcommand force-release' -l id -r -f -a '(__redlock_locks)'
";

/// Beginnings of zsh's lines about the name of a lock or the id of a holder.
const LOCKS: [&str; 7] = [
    "'*::names -- Names of locks:",
    "'::name -- Name of the lock:",
    "'::name -- Name of the lock \\[default\\: all that",
    "'*-l+[One more NAME",
    "'*--lock=[One more NAME",
    "'(--slots)*-",
    "'--id=[",
];

/// The script of zsh, with names and ids of locks.
pub(super) fn zsh(script: &str) -> String {
    let line = |line: &str| {
        if LOCKS.iter().any(|begin| line.starts_with(begin)) {
            line.replace(":_default' \\", ":_redlock_locks' \\")
        } else {
            line.to_owned()
        }
    };
    let lines: Vec<String> = script.lines().map(line).collect();
    let script = lines.join("\n") + "\n";
    match script.split_once("\n(( $+functions[") {
        Some((before, after)) => format!("{before}\n{ZSH}(( $+functions[{after}"),
        None => script,
    }
}

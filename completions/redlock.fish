# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_redlock_global_optspecs
    string join \n h/help V/version
end

function __fish_redlock_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_redlock_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_redlock_using_subcommand
    set -l cmd (__fish_redlock_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c redlock -n "__fish_redlock_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c redlock -n "__fish_redlock_needs_command" -s V -l version -d 'Print version'
complete -c redlock -n "__fish_redlock_needs_command" -f -a "run" -d 'Run a command under a lock'
complete -c redlock -n "__fish_redlock_needs_command" -f -a "wait" -d 'Wait until a lock is free, without taking it'
complete -c redlock -n "__fish_redlock_needs_command" -f -a "status" -d 'Show whether a lock is free, its holder, and the view of each server'
complete -c redlock -n "__fish_redlock_needs_command" -f -a "list" -d 'List the locks under the prefix, and their holders'
complete -c redlock -n "__fish_redlock_needs_command" -f -a "force-release" -d 'Take a lock from its holder, whose command is stopped'
complete -c redlock -n "__fish_redlock_needs_command" -f -a "doctor" -d 'Look for faults of the servers and of this host'
complete -c redlock -n "__fish_redlock_needs_command" -f -a "check" -d 'Inside a command, say by the exit code whether its lock is still held'
complete -c redlock -n "__fish_redlock_needs_command" -f -a "acquire" -d 'Take a lock for several steps, and leave it to them: nothing extends it'
complete -c redlock -n "__fish_redlock_needs_command" -f -a "extend" -d 'Extend a lock that \'acquire\' took'
complete -c redlock -n "__fish_redlock_needs_command" -f -a "release" -d 'Release a lock that \'acquire\' or \'hold\' took'
complete -c redlock -n "__fish_redlock_needs_command" -f -a "hold" -d 'Hold a lock without a command'
complete -c redlock -n "__fish_redlock_needs_command" -f -a "sandbox" -d 'Run a command with private Redis servers to try redlock on'
complete -c redlock -n "__fish_redlock_needs_command" -f -a "completions" -d 'Print a shell\'s completions'
complete -c redlock -n "__fish_redlock_using_subcommand run" -s c -l command -d 'Run STRING with \'sh -c\' instead of a COMMAND' -r -f -a "(__fish_complete_command)"
complete -c redlock -n "__fish_redlock_using_subcommand run" -l ttl -d 'Expiry of the lock if redlock dies [default: 30s]' -r
complete -c redlock -n "__fish_redlock_using_subcommand run" -l prefix -d 'Prefix of the Redis key [default: redlock:]' -r
complete -c redlock -n "__fish_redlock_using_subcommand run" -s l -l lock -d 'One more NAME to hold at the same time: all of them or none' -r
complete -c redlock -n "__fish_redlock_using_subcommand run" -l slots -d 'Number of runs that may hold the lock at once [default: 1]' -r
complete -c redlock -n "__fish_redlock_using_subcommand run" -l min-hold -d 'Keep others out for at least LENGTH from the start of the command, also after redlock has ended' -r
complete -c redlock -n "__fish_redlock_using_subcommand run" -l min-hold-on -d 'Whether --min-hold counts after every end of the command, or on success only [default: always]' -r -f -a "always\t'Every end'
success\t'Exit code 0'"
complete -c redlock -n "__fish_redlock_using_subcommand run" -l cooldown -d 'Keep others out for LENGTH after the command, also after redlock has ended' -r
complete -c redlock -n "__fish_redlock_using_subcommand run" -l key -d 'Redis key, instead of prefix and NAME: to exclude other Redlock clients' -r
complete -c redlock -n "__fish_redlock_using_subcommand run" -l reason -d 'Text shown to those who wait' -r
complete -c redlock -n "__fish_redlock_using_subcommand run" -s w -l wait -l timeout -d 'Wait up to LENGTH [default: for ever]' -r
complete -c redlock -n "__fish_redlock_using_subcommand run" -s E -l conflict-exit-code -d 'Exit code if the lock is busy [default: 75]' -r
complete -c redlock -n "__fish_redlock_using_subcommand run" -l if-busy -d 'If it is busy: fail, or skip the command and exit with 0' -r -f -a "fail\t'The command could not be run'
skip\t'The command is not needed: another run does it'"
complete -c redlock -n "__fish_redlock_using_subcommand run" -l jitter -d 'Delay the first attempt by a random time up to LENGTH' -r
complete -c redlock -n "__fish_redlock_using_subcommand run" -l max-runtime -d 'Stop the command after LENGTH, with exit code 124' -r
complete -c redlock -n "__fish_redlock_using_subcommand run" -l on-lost -d 'If the lock is lost: stop the command, or warn and let it go on [default: stop]' -r -f -a "stop\t'The command is stopped before another run can hold the lock'
warn\t'The command goes on'"
complete -c redlock -n "__fish_redlock_using_subcommand run" -l on-lost-exec -d 'Run STRING with \'sh -c\' if the lock is lost, for at most 10s after the command' -r -f -a "(__fish_complete_command)"
complete -c redlock -n "__fish_redlock_using_subcommand run" -s k -l kill-after -d 'Time from the signal to the kill [default: 5s, at most ttl/4]. If given, it counts after signals that are passed on too' -r
complete -c redlock -n "__fish_redlock_using_subcommand run" -l signal -d 'Signal that asks the command to stop [default: TERM]' -r
complete -c redlock -n "__fish_redlock_using_subcommand run" -l events -d 'Append the events to FILE or to the descriptor N, one JSON object a line (docs/events.md)' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand run" -l result -d 'Write the last of these objects, the result, to FILE' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand run" -l metrics -d 'Add the result to the OpenMetrics in FILE, for node_exporter\'s textfile collector' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand run" -s u -l url -d 'Redis servers, with commas between them [env: REDLOCK_URLS]' -r -f
complete -c redlock -n "__fish_redlock_using_subcommand run" -l op-timeout -d 'Time limit of one operation on one server [default: ttl/20, from 50ms to 1s]' -r
complete -c redlock -n "__fish_redlock_using_subcommand run" -l restart-guard -d 'How long a server that has restarted has no vote, which is also the longest --ttl: auto (1m), off, or LENGTH. The same on every host [default: auto]' -r
complete -c redlock -n "__fish_redlock_using_subcommand run" -l user -d 'User for URLs without one' -r
complete -c redlock -n "__fish_redlock_using_subcommand run" -l password-file -d 'File with the password for URLs without one. REDLOCK_PASSWORD is the password itself' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand run" -l cacert -d 'CAs that rediss:// servers are checked against, in PEM [default: the system\'s]' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand run" -l cert -d 'Certificate to show to rediss:// servers, in PEM; goes with --key-file' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand run" -l key-file -d 'Private key of that certificate, in PEM and without a passphrase' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand run" -l config -d 'Configuration file, instead of the user\'s and the system\'s' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand run" -l color -d 'When to use colours: auto, always or never [default: auto]' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c redlock -n "__fish_redlock_using_subcommand run" -l fence -d 'Get a fencing token: a number larger than that of every earlier holder'
complete -c redlock -n "__fish_redlock_using_subcommand run" -l reentrant -d 'Run the command at once if a redlock around this one holds the same lock'
complete -c redlock -n "__fish_redlock_using_subcommand run" -s n -l nonblock -d 'Do not wait'
complete -c redlock -n "__fish_redlock_using_subcommand run" -l wait-descendants -d 'Hold the lock until all processes that the command started have ended'
complete -c redlock -n "__fish_redlock_using_subcommand run" -l single -d 'Use exactly one server, without a majority'
complete -c redlock -n "__fish_redlock_using_subcommand run" -s v -l verbose -d 'Log the events of the lock, with the time'
complete -c redlock -n "__fish_redlock_using_subcommand run" -s q -l quiet -d 'Print no messages of a run; the exit code tells'
complete -c redlock -n "__fish_redlock_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c redlock -n "__fish_redlock_using_subcommand wait" -s w -l wait -l timeout -d 'Wait up to LENGTH [default: for ever]' -r
complete -c redlock -n "__fish_redlock_using_subcommand wait" -l prefix -d 'Text in front of NAME in the key [default: redlock:]' -r
complete -c redlock -n "__fish_redlock_using_subcommand wait" -l ttl -d 'TTL of the holders, from which the default of --op-timeout follows [default: 30s]' -r
complete -c redlock -n "__fish_redlock_using_subcommand wait" -l slots -d 'Number of runs that may hold the lock at once; wait until a slot is free [default: 1]' -r
complete -c redlock -n "__fish_redlock_using_subcommand wait" -l key -d 'Redis key, instead of prefix and NAME' -r
complete -c redlock -n "__fish_redlock_using_subcommand wait" -s u -l url -d 'Redis servers, with commas between them [env: REDLOCK_URLS]' -r -f
complete -c redlock -n "__fish_redlock_using_subcommand wait" -l op-timeout -d 'Time limit of one operation on one server [default: ttl/20, from 50ms to 1s]' -r
complete -c redlock -n "__fish_redlock_using_subcommand wait" -l restart-guard -d 'How long a server that has restarted has no vote, which is also the longest --ttl: auto (1m), off, or LENGTH. The same on every host [default: auto]' -r
complete -c redlock -n "__fish_redlock_using_subcommand wait" -l user -d 'User for URLs without one' -r
complete -c redlock -n "__fish_redlock_using_subcommand wait" -l password-file -d 'File with the password for URLs without one. REDLOCK_PASSWORD is the password itself' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand wait" -l cacert -d 'CAs that rediss:// servers are checked against, in PEM [default: the system\'s]' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand wait" -l cert -d 'Certificate to show to rediss:// servers, in PEM; goes with --key-file' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand wait" -l key-file -d 'Private key of that certificate, in PEM and without a passphrase' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand wait" -l config -d 'Configuration file, instead of the user\'s and the system\'s' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand wait" -l color -d 'When to use colours: auto, always or never [default: auto]' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c redlock -n "__fish_redlock_using_subcommand wait" -l single -d 'Use exactly one server, without a majority'
complete -c redlock -n "__fish_redlock_using_subcommand wait" -s v -l verbose -d 'Log the events of the lock, with the time'
complete -c redlock -n "__fish_redlock_using_subcommand wait" -s q -l quiet -d 'Print no messages of a run; the exit code tells'
complete -c redlock -n "__fish_redlock_using_subcommand wait" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c redlock -n "__fish_redlock_using_subcommand status" -s l -l lock -d 'One more NAME, as \'run\' has it' -r
complete -c redlock -n "__fish_redlock_using_subcommand status" -l prefix -d 'Text in front of NAME in the key [default: redlock:]' -r
complete -c redlock -n "__fish_redlock_using_subcommand status" -l ttl -d 'TTL of the holders, from which the default of --op-timeout follows [default: 30s]' -r
complete -c redlock -n "__fish_redlock_using_subcommand status" -l slots -d 'Number of slots of the lock [default: 1]' -r
complete -c redlock -n "__fish_redlock_using_subcommand status" -l key -d 'Redis key, instead of prefix and NAME' -r
complete -c redlock -n "__fish_redlock_using_subcommand status" -s u -l url -d 'Redis servers, with commas between them [env: REDLOCK_URLS]' -r -f
complete -c redlock -n "__fish_redlock_using_subcommand status" -l op-timeout -d 'Time limit of one operation on one server [default: ttl/20, from 50ms to 1s]' -r
complete -c redlock -n "__fish_redlock_using_subcommand status" -l restart-guard -d 'How long a server that has restarted has no vote, which is also the longest --ttl: auto (1m), off, or LENGTH. The same on every host [default: auto]' -r
complete -c redlock -n "__fish_redlock_using_subcommand status" -l user -d 'User for URLs without one' -r
complete -c redlock -n "__fish_redlock_using_subcommand status" -l password-file -d 'File with the password for URLs without one. REDLOCK_PASSWORD is the password itself' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand status" -l cacert -d 'CAs that rediss:// servers are checked against, in PEM [default: the system\'s]' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand status" -l cert -d 'Certificate to show to rediss:// servers, in PEM; goes with --key-file' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand status" -l key-file -d 'Private key of that certificate, in PEM and without a passphrase' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand status" -l config -d 'Configuration file, instead of the user\'s and the system\'s' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand status" -l color -d 'When to use colours: auto, always or never [default: auto]' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c redlock -n "__fish_redlock_using_subcommand status" -l exit-code -d 'Exit with 0 if free, 75 if held, 69 if undetermined'
complete -c redlock -n "__fish_redlock_using_subcommand status" -l json -d 'Print JSON for programs (docs/json.md)'
complete -c redlock -n "__fish_redlock_using_subcommand status" -l single -d 'Use exactly one server, without a majority'
complete -c redlock -n "__fish_redlock_using_subcommand status" -s v -l verbose -d 'Log the events of the lock, with the time'
complete -c redlock -n "__fish_redlock_using_subcommand status" -s q -l quiet -d 'Print no messages of a run; the exit code tells'
complete -c redlock -n "__fish_redlock_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c redlock -n "__fish_redlock_using_subcommand list" -l prefix -d 'Text in front of NAME in the key [default: redlock:]' -r
complete -c redlock -n "__fish_redlock_using_subcommand list" -l ttl -d 'TTL of the holders, from which the default of --op-timeout follows [default: 30s]' -r
complete -c redlock -n "__fish_redlock_using_subcommand list" -s u -l url -d 'Redis servers, with commas between them [env: REDLOCK_URLS]' -r -f
complete -c redlock -n "__fish_redlock_using_subcommand list" -l op-timeout -d 'Time limit of one operation on one server [default: ttl/20, from 50ms to 1s]' -r
complete -c redlock -n "__fish_redlock_using_subcommand list" -l restart-guard -d 'How long a server that has restarted has no vote, which is also the longest --ttl: auto (1m), off, or LENGTH. The same on every host [default: auto]' -r
complete -c redlock -n "__fish_redlock_using_subcommand list" -l user -d 'User for URLs without one' -r
complete -c redlock -n "__fish_redlock_using_subcommand list" -l password-file -d 'File with the password for URLs without one. REDLOCK_PASSWORD is the password itself' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand list" -l cacert -d 'CAs that rediss:// servers are checked against, in PEM [default: the system\'s]' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand list" -l cert -d 'Certificate to show to rediss:// servers, in PEM; goes with --key-file' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand list" -l key-file -d 'Private key of that certificate, in PEM and without a passphrase' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand list" -l config -d 'Configuration file, instead of the user\'s and the system\'s' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand list" -l color -d 'When to use colours: auto, always or never [default: auto]' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c redlock -n "__fish_redlock_using_subcommand list" -s a -l all -d 'List remnants on a minority of the servers too: they lock nothing'
complete -c redlock -n "__fish_redlock_using_subcommand list" -l json -d 'Print JSON for programs (docs/json.md)'
complete -c redlock -n "__fish_redlock_using_subcommand list" -l single -d 'Use exactly one server, without a majority'
complete -c redlock -n "__fish_redlock_using_subcommand list" -s v -l verbose -d 'Log the events of the lock, with the time'
complete -c redlock -n "__fish_redlock_using_subcommand list" -s q -l quiet -d 'Print no messages of a run; the exit code tells'
complete -c redlock -n "__fish_redlock_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c redlock -n "__fish_redlock_using_subcommand force-release" -l id -d 'Id of the holder, as \'status\' shows it; without it, print the command to type' -r
complete -c redlock -n "__fish_redlock_using_subcommand force-release" -l reason -d 'Text shown to the holder and to those who wait' -r
complete -c redlock -n "__fish_redlock_using_subcommand force-release" -s l -l lock -d 'Further NAME that the holder has, as \'run\' has it' -r
complete -c redlock -n "__fish_redlock_using_subcommand force-release" -l slots -d 'Number of slots of the lock [default: that of its holders]' -r
complete -c redlock -n "__fish_redlock_using_subcommand force-release" -l prefix -d 'Text in front of NAME in the key [default: redlock:]' -r
complete -c redlock -n "__fish_redlock_using_subcommand force-release" -l ttl -d 'TTL of the holders, from which the default of --op-timeout follows [default: 30s]' -r
complete -c redlock -n "__fish_redlock_using_subcommand force-release" -l key -d 'Redis key, instead of prefix and NAME' -r
complete -c redlock -n "__fish_redlock_using_subcommand force-release" -s u -l url -d 'Redis servers, with commas between them [env: REDLOCK_URLS]' -r -f
complete -c redlock -n "__fish_redlock_using_subcommand force-release" -l op-timeout -d 'Time limit of one operation on one server [default: ttl/20, from 50ms to 1s]' -r
complete -c redlock -n "__fish_redlock_using_subcommand force-release" -l restart-guard -d 'How long a server that has restarted has no vote, which is also the longest --ttl: auto (1m), off, or LENGTH. The same on every host [default: auto]' -r
complete -c redlock -n "__fish_redlock_using_subcommand force-release" -l user -d 'User for URLs without one' -r
complete -c redlock -n "__fish_redlock_using_subcommand force-release" -l password-file -d 'File with the password for URLs without one. REDLOCK_PASSWORD is the password itself' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand force-release" -l cacert -d 'CAs that rediss:// servers are checked against, in PEM [default: the system\'s]' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand force-release" -l cert -d 'Certificate to show to rediss:// servers, in PEM; goes with --key-file' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand force-release" -l key-file -d 'Private key of that certificate, in PEM and without a passphrase' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand force-release" -l config -d 'Configuration file, instead of the user\'s and the system\'s' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand force-release" -l color -d 'When to use colours: auto, always or never [default: auto]' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c redlock -n "__fish_redlock_using_subcommand force-release" -l now -d 'Delete the key at once, for a holder that is known to be dead'
complete -c redlock -n "__fish_redlock_using_subcommand force-release" -s y -l yes -d 'Do not ask'
complete -c redlock -n "__fish_redlock_using_subcommand force-release" -l json -d 'Print JSON for programs (docs/json.md)'
complete -c redlock -n "__fish_redlock_using_subcommand force-release" -l single -d 'Use exactly one server, without a majority'
complete -c redlock -n "__fish_redlock_using_subcommand force-release" -s v -l verbose -d 'Log the events of the lock, with the time'
complete -c redlock -n "__fish_redlock_using_subcommand force-release" -s q -l quiet -d 'Print no messages of a run; the exit code tells'
complete -c redlock -n "__fish_redlock_using_subcommand force-release" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c redlock -n "__fish_redlock_using_subcommand doctor" -l prefix -d 'Text in front of NAME in the key [default: redlock:]' -r
complete -c redlock -n "__fish_redlock_using_subcommand doctor" -l ttl -d 'TTL of the holders, from which the default of --op-timeout follows [default: 30s]' -r
complete -c redlock -n "__fish_redlock_using_subcommand doctor" -s u -l url -d 'Redis servers, with commas between them [env: REDLOCK_URLS]' -r -f
complete -c redlock -n "__fish_redlock_using_subcommand doctor" -l op-timeout -d 'Time limit of one operation on one server [default: ttl/20, from 50ms to 1s]' -r
complete -c redlock -n "__fish_redlock_using_subcommand doctor" -l restart-guard -d 'How long a server that has restarted has no vote, which is also the longest --ttl: auto (1m), off, or LENGTH. The same on every host [default: auto]' -r
complete -c redlock -n "__fish_redlock_using_subcommand doctor" -l user -d 'User for URLs without one' -r
complete -c redlock -n "__fish_redlock_using_subcommand doctor" -l password-file -d 'File with the password for URLs without one. REDLOCK_PASSWORD is the password itself' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand doctor" -l cacert -d 'CAs that rediss:// servers are checked against, in PEM [default: the system\'s]' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand doctor" -l cert -d 'Certificate to show to rediss:// servers, in PEM; goes with --key-file' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand doctor" -l key-file -d 'Private key of that certificate, in PEM and without a passphrase' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand doctor" -l config -d 'Configuration file, instead of the user\'s and the system\'s' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand doctor" -l color -d 'When to use colours: auto, always or never [default: auto]' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c redlock -n "__fish_redlock_using_subcommand doctor" -l json -d 'Print JSON for programs (docs/json.md)'
complete -c redlock -n "__fish_redlock_using_subcommand doctor" -l single -d 'Use exactly one server, without a majority'
complete -c redlock -n "__fish_redlock_using_subcommand doctor" -s v -l verbose -d 'Log the events of the lock, with the time'
complete -c redlock -n "__fish_redlock_using_subcommand doctor" -s q -l quiet -d 'Print no messages of a run; the exit code tells'
complete -c redlock -n "__fish_redlock_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c redlock -n "__fish_redlock_using_subcommand check" -l handle -d 'File with the handle, or - for standard input [env: REDLOCK_HANDLE for the handle itself, or its file]' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand check" -l left -d 'How long it must be held still [default: a third of its TTL]' -r
complete -c redlock -n "__fish_redlock_using_subcommand check" -l prefix -d 'Text in front of NAME in the key [default: redlock:]' -r
complete -c redlock -n "__fish_redlock_using_subcommand check" -l ttl -d 'TTL of the holders, from which the default of --op-timeout follows [default: 30s]' -r
complete -c redlock -n "__fish_redlock_using_subcommand check" -l key -d 'Redis key, instead of prefix and NAME' -r
complete -c redlock -n "__fish_redlock_using_subcommand check" -s u -l url -d 'Redis servers, with commas between them [env: REDLOCK_URLS]' -r -f
complete -c redlock -n "__fish_redlock_using_subcommand check" -l op-timeout -d 'Time limit of one operation on one server [default: ttl/20, from 50ms to 1s]' -r
complete -c redlock -n "__fish_redlock_using_subcommand check" -l restart-guard -d 'How long a server that has restarted has no vote, which is also the longest --ttl: auto (1m), off, or LENGTH. The same on every host [default: auto]' -r
complete -c redlock -n "__fish_redlock_using_subcommand check" -l user -d 'User for URLs without one' -r
complete -c redlock -n "__fish_redlock_using_subcommand check" -l password-file -d 'File with the password for URLs without one. REDLOCK_PASSWORD is the password itself' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand check" -l cacert -d 'CAs that rediss:// servers are checked against, in PEM [default: the system\'s]' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand check" -l cert -d 'Certificate to show to rediss:// servers, in PEM; goes with --key-file' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand check" -l key-file -d 'Private key of that certificate, in PEM and without a passphrase' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand check" -l config -d 'Configuration file, instead of the user\'s and the system\'s' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand check" -l color -d 'When to use colours: auto, always or never [default: auto]' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c redlock -n "__fish_redlock_using_subcommand check" -l single -d 'Use exactly one server, without a majority'
complete -c redlock -n "__fish_redlock_using_subcommand check" -s v -l verbose -d 'Log the events of the lock, with the time'
complete -c redlock -n "__fish_redlock_using_subcommand check" -s q -l quiet -d 'Print no messages of a run; the exit code tells'
complete -c redlock -n "__fish_redlock_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -l handle -d 'File for the handle, which only this user can read; without it, the handle is printed' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -l ttl -d 'Expiry of the lock if redlock dies [default: 30s]' -r
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -l prefix -d 'Prefix of the Redis key [default: redlock:]' -r
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -s l -l lock -d 'One more NAME to hold at the same time: all of them or none' -r
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -l slots -d 'Number of runs that may hold the lock at once [default: 1]' -r
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -l min-hold -d 'Keep others out for at least LENGTH from the start of the command, also after redlock has ended' -r
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -l min-hold-on -d 'Whether --min-hold counts after every end of the command, or on success only [default: always]' -r -f -a "always\t'Every end'
success\t'Exit code 0'"
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -l cooldown -d 'Keep others out for LENGTH after the command, also after redlock has ended' -r
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -l key -d 'Redis key, instead of prefix and NAME: to exclude other Redlock clients' -r
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -l reason -d 'Text shown to those who wait' -r
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -s w -l wait -l timeout -d 'Wait up to LENGTH [default: for ever]' -r
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -s E -l conflict-exit-code -d 'Exit code if the lock is busy [default: 75]' -r
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -l if-busy -d 'If it is busy: fail, or skip the command and exit with 0' -r -f -a "fail\t'The command could not be run'
skip\t'The command is not needed: another run does it'"
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -l jitter -d 'Delay the first attempt by a random time up to LENGTH' -r
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -l events -d 'Append the events to FILE or to the descriptor N, one JSON object a line (docs/events.md)' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -l result -d 'Write the last of these objects, the result, to FILE' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -l metrics -d 'Add the result to the OpenMetrics in FILE, for node_exporter\'s textfile collector' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -s u -l url -d 'Redis servers, with commas between them [env: REDLOCK_URLS]' -r -f
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -l op-timeout -d 'Time limit of one operation on one server [default: ttl/20, from 50ms to 1s]' -r
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -l restart-guard -d 'How long a server that has restarted has no vote, which is also the longest --ttl: auto (1m), off, or LENGTH. The same on every host [default: auto]' -r
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -l user -d 'User for URLs without one' -r
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -l password-file -d 'File with the password for URLs without one. REDLOCK_PASSWORD is the password itself' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -l cacert -d 'CAs that rediss:// servers are checked against, in PEM [default: the system\'s]' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -l cert -d 'Certificate to show to rediss:// servers, in PEM; goes with --key-file' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -l key-file -d 'Private key of that certificate, in PEM and without a passphrase' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -l config -d 'Configuration file, instead of the user\'s and the system\'s' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -l color -d 'When to use colours: auto, always or never [default: auto]' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -l export -d 'Print \'export REDLOCK_HANDLE=...\' for a shell\'s eval'
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -l github -d 'In GitHub Actions: set REDLOCK_HANDLE for the next steps, and the output \'handle\''
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -l fence -d 'Get a fencing token: a number larger than that of every earlier holder'
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -l reentrant -d 'Run the command at once if a redlock around this one holds the same lock'
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -s n -l nonblock -d 'Do not wait'
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -l single -d 'Use exactly one server, without a majority'
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -s v -l verbose -d 'Log the events of the lock, with the time'
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -s q -l quiet -d 'Print no messages of a run; the exit code tells'
complete -c redlock -n "__fish_redlock_using_subcommand acquire" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c redlock -n "__fish_redlock_using_subcommand extend" -l handle -d 'File with the handle, or - for standard input [env: REDLOCK_HANDLE for the handle itself, or its file]' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand extend" -s u -l url -d 'Redis servers, with commas between them [env: REDLOCK_URLS]' -r -f
complete -c redlock -n "__fish_redlock_using_subcommand extend" -l op-timeout -d 'Time limit of one operation on one server [default: ttl/20, from 50ms to 1s]' -r
complete -c redlock -n "__fish_redlock_using_subcommand extend" -l restart-guard -d 'How long a server that has restarted has no vote, which is also the longest --ttl: auto (1m), off, or LENGTH. The same on every host [default: auto]' -r
complete -c redlock -n "__fish_redlock_using_subcommand extend" -l user -d 'User for URLs without one' -r
complete -c redlock -n "__fish_redlock_using_subcommand extend" -l password-file -d 'File with the password for URLs without one. REDLOCK_PASSWORD is the password itself' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand extend" -l cacert -d 'CAs that rediss:// servers are checked against, in PEM [default: the system\'s]' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand extend" -l cert -d 'Certificate to show to rediss:// servers, in PEM; goes with --key-file' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand extend" -l key-file -d 'Private key of that certificate, in PEM and without a passphrase' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand extend" -l config -d 'Configuration file, instead of the user\'s and the system\'s' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand extend" -l color -d 'When to use colours: auto, always or never [default: auto]' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c redlock -n "__fish_redlock_using_subcommand extend" -l export -d 'Print \'export REDLOCK_HANDLE=...\' for a shell\'s eval, if the handle is in no file'
complete -c redlock -n "__fish_redlock_using_subcommand extend" -l single -d 'Use exactly one server, without a majority'
complete -c redlock -n "__fish_redlock_using_subcommand extend" -s v -l verbose -d 'Log the events of the lock, with the time'
complete -c redlock -n "__fish_redlock_using_subcommand extend" -s q -l quiet -d 'Print no messages of a run; the exit code tells'
complete -c redlock -n "__fish_redlock_using_subcommand extend" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c redlock -n "__fish_redlock_using_subcommand release" -l handle -d 'File with the handle, or - for standard input [env: REDLOCK_HANDLE for the handle itself, or its file]' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand release" -s u -l url -d 'Redis servers, with commas between them [env: REDLOCK_URLS]' -r -f
complete -c redlock -n "__fish_redlock_using_subcommand release" -l op-timeout -d 'Time limit of one operation on one server [default: ttl/20, from 50ms to 1s]' -r
complete -c redlock -n "__fish_redlock_using_subcommand release" -l restart-guard -d 'How long a server that has restarted has no vote, which is also the longest --ttl: auto (1m), off, or LENGTH. The same on every host [default: auto]' -r
complete -c redlock -n "__fish_redlock_using_subcommand release" -l user -d 'User for URLs without one' -r
complete -c redlock -n "__fish_redlock_using_subcommand release" -l password-file -d 'File with the password for URLs without one. REDLOCK_PASSWORD is the password itself' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand release" -l cacert -d 'CAs that rediss:// servers are checked against, in PEM [default: the system\'s]' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand release" -l cert -d 'Certificate to show to rediss:// servers, in PEM; goes with --key-file' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand release" -l key-file -d 'Private key of that certificate, in PEM and without a passphrase' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand release" -l config -d 'Configuration file, instead of the user\'s and the system\'s' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand release" -l color -d 'When to use colours: auto, always or never [default: auto]' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c redlock -n "__fish_redlock_using_subcommand release" -l single -d 'Use exactly one server, without a majority'
complete -c redlock -n "__fish_redlock_using_subcommand release" -s v -l verbose -d 'Log the events of the lock, with the time'
complete -c redlock -n "__fish_redlock_using_subcommand release" -s q -l quiet -d 'Print no messages of a run; the exit code tells'
complete -c redlock -n "__fish_redlock_using_subcommand release" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l while-pid -d 'Release the lock when the process PID is gone' -r
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l max-hold -d 'Release the lock after LENGTH, and exit with 124' -r
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l handle -d 'File for the handle, which only this user can read; without it, the handle is printed' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l ttl -d 'Expiry of the lock if redlock dies [default: 30s]' -r
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l prefix -d 'Prefix of the Redis key [default: redlock:]' -r
complete -c redlock -n "__fish_redlock_using_subcommand hold" -s l -l lock -d 'One more NAME to hold at the same time: all of them or none' -r
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l slots -d 'Number of runs that may hold the lock at once [default: 1]' -r
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l min-hold -d 'Keep others out for at least LENGTH from the start of the command, also after redlock has ended' -r
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l min-hold-on -d 'Whether --min-hold counts after every end of the command, or on success only [default: always]' -r -f -a "always\t'Every end'
success\t'Exit code 0'"
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l cooldown -d 'Keep others out for LENGTH after the command, also after redlock has ended' -r
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l key -d 'Redis key, instead of prefix and NAME: to exclude other Redlock clients' -r
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l reason -d 'Text shown to those who wait' -r
complete -c redlock -n "__fish_redlock_using_subcommand hold" -s w -l wait -l timeout -d 'Wait up to LENGTH [default: for ever]' -r
complete -c redlock -n "__fish_redlock_using_subcommand hold" -s E -l conflict-exit-code -d 'Exit code if the lock is busy [default: 75]' -r
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l if-busy -d 'If it is busy: fail, or skip the command and exit with 0' -r -f -a "fail\t'The command could not be run'
skip\t'The command is not needed: another run does it'"
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l jitter -d 'Delay the first attempt by a random time up to LENGTH' -r
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l events -d 'Append the events to FILE or to the descriptor N, one JSON object a line (docs/events.md)' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l result -d 'Write the last of these objects, the result, to FILE' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l metrics -d 'Add the result to the OpenMetrics in FILE, for node_exporter\'s textfile collector' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand hold" -s u -l url -d 'Redis servers, with commas between them [env: REDLOCK_URLS]' -r -f
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l op-timeout -d 'Time limit of one operation on one server [default: ttl/20, from 50ms to 1s]' -r
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l restart-guard -d 'How long a server that has restarted has no vote, which is also the longest --ttl: auto (1m), off, or LENGTH. The same on every host [default: auto]' -r
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l user -d 'User for URLs without one' -r
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l password-file -d 'File with the password for URLs without one. REDLOCK_PASSWORD is the password itself' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l cacert -d 'CAs that rediss:// servers are checked against, in PEM [default: the system\'s]' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l cert -d 'Certificate to show to rediss:// servers, in PEM; goes with --key-file' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l key-file -d 'Private key of that certificate, in PEM and without a passphrase' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l config -d 'Configuration file, instead of the user\'s and the system\'s' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l color -d 'When to use colours: auto, always or never [default: auto]' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l until-eof -d 'Release the lock at the end of standard input'
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l background -d 'Return when the lock is held, and leave a process that extends it'
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l export -d 'Print \'export REDLOCK_HANDLE=...\' for a shell\'s eval'
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l github -d 'In GitHub Actions: set REDLOCK_HANDLE for the next steps, and the output \'handle\''
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l fence -d 'Get a fencing token: a number larger than that of every earlier holder'
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l reentrant -d 'Run the command at once if a redlock around this one holds the same lock'
complete -c redlock -n "__fish_redlock_using_subcommand hold" -s n -l nonblock -d 'Do not wait'
complete -c redlock -n "__fish_redlock_using_subcommand hold" -l single -d 'Use exactly one server, without a majority'
complete -c redlock -n "__fish_redlock_using_subcommand hold" -s v -l verbose -d 'Log the events of the lock, with the time'
complete -c redlock -n "__fish_redlock_using_subcommand hold" -s q -l quiet -d 'Print no messages of a run; the exit code tells'
complete -c redlock -n "__fish_redlock_using_subcommand hold" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c redlock -n "__fish_redlock_using_subcommand sandbox" -s n -l servers -d 'Number of servers' -r
complete -c redlock -n "__fish_redlock_using_subcommand sandbox" -l server -d 'Server program [default: redis-server or valkey-server, from PATH]' -r -F
complete -c redlock -n "__fish_redlock_using_subcommand sandbox" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c redlock -n "__fish_redlock_using_subcommand completions" -s h -l help -d 'Print help'

function __redlock_wrapped
    set -l words (commandline -opc)
    set -l at (contains -i -- -- $words)
    or return 1
    complete -C (string join ' ' -- (string escape -- $words[(math $at + 1)..]) (commandline -ct))
end
complete -c redlock -n 'contains -- -- (commandline -opc)' -x -a '(__redlock_wrapped)'

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
complete -c redlock -n '__fish_redlock_using_subcommand completions' -f -a 'bash elvish fish powershell zsh'
